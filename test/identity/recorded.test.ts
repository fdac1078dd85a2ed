import t from 'tap';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { createKeyRing } from '../../src/identity/key-ring.ts';
import type { Identity } from '../../src/identity/principal.ts';
import { createValueExists, type Scroll } from '../../src/identity/value-exists.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';
import { forge } from './forge.ts';
import { RECORDED, type RecordedAnswer, type RecordedCase, withKeys } from './recorded-cases.ts';

const NOW = 1_700_000_000;
const { main, alt, read } = RECORDED.keys;

/** The points that every recorded collection of the claims holds. */
const POINTS = [1, 2, 3].map((n): Record<string, unknown> => ({ city: 'Rome', n, flag: n === 1 }));

const scroll: Scroll = async (collection, filter) => {
  if (!['a', 'b', 'secret', 'al_a', 'al_s'].includes(collection)) return 'no-collection';
  const sent = JSON.parse(JSON.stringify(filter)) as typeof filter;
  const holds = POINTS.some((point) => sent.must.every(({ key, match }) => point[key] === match.value));
  return holds ? 'match' : 'no-match';
};

const ringOf = (altApiKey: string | null) =>
  createKeyRing({ apiKey: main, altApiKey, readOnlyApiKey: read, jwtRbac: true }, 1);

function authenticatorOf(altApiKey: string | null) {
  const valueExists = createValueExists({ scroll, timeoutMs: 1000 });
  return createAuthenticator({ ring: ringOf(altApiKey), cacheEntries: 100, now: () => NOW * 1000, valueExists });
}

/** The header list as the protocol's parser hands it over: only HTTP/1 parsers cut blanks around a value. */
function headersOf(recorded: RecordedCase): string[] {
  const token = recorded.token && { ...recorded.token, secret: withKeys(recorded.token.secret ?? '{main}') };
  const text = token ? forge(token, NOW, main) : '';
  return (recorded.send ?? ['Authorization: Bearer {token}']).flatMap((line) => {
    const split = line.indexOf(': ');
    const value = withKeys(line.slice(split + 2)).replace('{token}', text);
    return [line.slice(0, split), recorded.over === 'rest' ? value.replace(/^[ \t]+|[ \t]+$/g, '') : value];
  });
}

/** What an identity is worth, in the words of the recorded answers. */
function answerOf(identity: Identity, recorded: RecordedCase, expected: RecordedAnswer): RecordedAnswer {
  if (identity.kind === 'denial') {
    return `${recorded.over === 'rest' ? identity.status : identity.grpc} ${identity.message}`.trimEnd();
  }
  const { access } = identity;
  if (access.kind === 'list') return RECORDED.collections.filter((name) => access.modes.has(name));
  if (access.kind !== 'global') throw new TypeError('no token carries this access');
  return expected === 'grants everything' ? expected : access.mode === 'm' ? 'grants manage' : 'grants read';
}

async function replay(name: string, altApiKey: string | null, expectedOf: (recorded: RecordedCase) => RecordedAnswer) {
  const authenticator = authenticatorOf(altApiKey);
  const deviations = new Deviations('credentials.json');
  await t.test(name, async (t) => {
    for (const recorded of RECORDED.cases) {
      const expected = expectedOf(recorded);
      const headers = headersOf(recorded);
      for (const time of ['first', 'second']) {
        const answer = answerOf(await authenticator.authenticate(headers), recorded, expected);
        // What grants is never a deviation: it would be more than recorded.
        const grants = typeof answer !== 'string' || answer.startsWith('grants');
        const verdict = { file: 'credentials.json', case: recorded.case, principal: '', grant: null, request: 0 };
        const own = !grants && answer !== expected && deviations.covers({ ...verdict, recorded: '' }, answer);
        t.same(own ? expected : answer, expected, `${recorded.case} (${time} time, ${name})`);
      }
    }
    t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  });
}

t.equal(RECORDED.cases.length, 228, 'every recorded case is there');
t.equal(new Set(RECORDED.cases.map((recorded) => recorded.case)).size, 228, 'each has a name of its own');

await replay('all three keys', alt, (recorded) => recorded.answer);
await replay('no alternative key', null, (recorded) => recorded.oneKey ?? recorded.answer);
