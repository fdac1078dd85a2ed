import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import t from 'tap';
import { forge } from '../identity/forge.ts';
import { RECORDED, type RecordedAnswer, type RecordedCase, withKeys } from '../identity/recorded-cases.ts';
import { type CallClient, frameClient } from '../support/clients/raw-grpc.ts';
import { onEveryTransport, Witness } from '../support/transports/alike.ts';
import { openTransports, type Transports } from '../support/transports/transports.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';

/** The recorded edge cases of keys and tokens, sent byte for byte to the running gateway, over REST on every transport. */
const { main, alt, read } = RECORDED.keys;
const POINTS = [1, 2, 3].map((n) => ({ id: n, vector: [n], payload: { city: 'Rome', n, flag: n === 1 } }));
const MANAGE_REFUSED = 'Forbidden: Global manage access is required';

function settingsOf(altKey: string | undefined): Record<string, unknown> {
  return { 'service.api_key': main, 'service.read_only_api_key': read, 'service.alt_api_key': altKey };
}

async function prepare({ upstream }: Transports): Promise<void> {
  const put = async (path: string, body: unknown, method = 'PUT'): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${upstream.restUrl}${path}`, { method, headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  };
  for (const name of RECORDED.collections) {
    const path = `/collections/${encodeURIComponent(name)}`;
    await put(path, { vectors: { size: 1, distance: 'Dot' } });
    await put(`${path}/points?wait=true`, { points: POINTS });
  }
  const aliasOf = (alias_name: string, collection_name: string) => ({ create_alias: { alias_name, collection_name } });
  await put('/collections/aliases', { actions: [aliasOf('al_a', 'a'), aliasOf('al_s', 'secret')] }, 'POST');
}

/** The header lines of a case, one character per byte. */
function linesOf(recorded: RecordedCase, now: number): string[] {
  const token = recorded.token && { ...recorded.token, secret: withKeys(recorded.token.secret ?? '{main}') };
  const text = token ? forge(token, now, main) : '';
  return (recorded.send ?? ['Authorization: Bearer {token}']).map((line) => withKeys(line).replace('{token}', text));
}

/** Cases of REST with the answers they had, and how the transports differ in them. */
async function overRest(
  transports: Transports,
  cases: readonly RecordedCase[],
  now: number,
): Promise<ReadonlyMap<RecordedCase, readonly [answer: RecordedAnswer, differences: readonly string[]]>> {
  const witness = new Witness();
  const ask = async (some: readonly RecordedCase[], targetOf: (recorded: RecordedCase) => string) => {
    const requests = some.map((one) => ({
      method: 'GET',
      target: targetOf(one),
      headers: fieldsOf(linesOf(one, now)),
    }));
    const heard = await onEveryTransport(transports, witness, requests);
    return new Map(some.map((recorded, index) => [recorded, heard[index]] as const));
  };
  const shown = await ask(cases, ({ target }) => target ?? '/collections');
  const accepted = cases.filter((one) => shown.get(one)?.first.answer.status === 200 && !Array.isArray(one.answer));
  const managed = await ask(accepted, () => '/stacktrace');
  return new Map(
    cases.map((recorded) => {
      const { status = 0, body = '' } = shown.get(recorded)?.first.answer ?? {};
      const manages = managed.get(recorded)?.first.answer;
      const isRead = manages?.status === 403 && manages.body.includes(MANAGE_REFUSED);
      const grants = Array.isArray(recorded.answer) ? namesIn(body) : isRead ? 'grants read' : 'grants manage';
      const differences = [shown, managed].flatMap((heard) => heard.get(recorded)?.differences ?? []);
      return [recorded, [status === 200 ? grants : `${status} ${body}`.trimEnd(), differences]] as const;
    }),
  );
}

function fieldsOf(lines: readonly string[]): [name: string, value: string][] {
  return lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).replace(/^ /, '')];
  });
}

/** HTTP/2 resets what has blanks around a value, or a NUL in it (RFC 9113 section 8.2.1); over HTTP/1.1 the blanks are none of it. */
function isMalformedOverHttp2(lines: readonly string[]): boolean {
  return fieldsOf(lines).some(([, value]) => /^[ \t]|[ \t]$|\0/.test(value));
}

function namesIn(text: string): string[] {
  const { result } = JSON.parse(text) as { result: { collections: { name: string }[] } };
  return result.collections.map(({ name }) => name).sort();
}

async function overGrpc(client: CallClient, recorded: RecordedCase, lines: readonly string[]): Promise<RecordedAnswer> {
  const headers = lines.map((line): [string, string] => {
    const split = line.indexOf(': ');
    return [line.slice(0, split).toLowerCase(), line.slice(split + 2)];
  });
  const { code, message, body } = await client.call({ method: '/qdrant.Collections/List', headers, message: EMPTY });
  if (code !== 0) return `${code} ${message}`.trimEnd();
  const names = listedNames(body.subarray(5));
  return Array.isArray(recorded.answer) || names.length < RECORDED.collections.length ? names : 'grants everything';
}

const EMPTY = Buffer.alloc(0);

/** Names in a `ListCollectionsResponse`: `collections` (1), each with `name` (1). */
function listedNames(message: Buffer): string[] {
  const names: string[] = [];
  const outer = new BinaryReader(message);
  while (outer.pos < outer.len) {
    const [field, type] = outer.tag();
    if (field !== 1 || type !== WireType.LengthDelimited) {
      outer.skip(type);
      continue;
    }
    const inner = new BinaryReader(outer.bytes());
    while (inner.pos < inner.len) {
      const [number, wire] = inner.tag();
      if (number === 1) names.push(inner.string());
      else inner.skip(wire);
    }
  }
  return names.sort();
}

async function replay(t: Tap, altKey: string | undefined, cases: readonly RecordedCase[]): Promise<void> {
  const transports = await openTransports({ settings: settingsOf(altKey) });
  const client = frameClient(transports.relaying);
  t.teardown(async () => {
    client.close();
    await transports.close();
  });
  await prepare(transports);
  const deviations = new Deviations('credentials.json');
  const now = Math.floor(Date.now() / 1000);
  const rest = cases.filter(({ over }) => over === 'rest');
  const heard = await overRest(transports, rest, now);
  for (const recorded of cases) {
    const lines = linesOf(recorded, now);
    const expected = altKey === undefined ? (recorded.oneKey ?? recorded.answer) : recorded.answer;
    const [answer, differences] = heard.get(recorded) ?? [await overGrpc(client, recorded, lines), []];
    const said = { principal: '', grant: null, request: 0, recorded: '' };
    const verdict = { file: 'credentials.json', case: recorded.case, ...said };
    const same = JSON.stringify(answer) === JSON.stringify(expected);
    if (!same && typeof answer === 'string' && !answer.startsWith('grants') && deviations.covers(verdict, answer)) {
      t.pass(`${recorded.case} (listed deviation)`);
    } else t.strictSame(answer, expected, recorded.case);
    if (differences.length > 0 && !isMalformedOverHttp2(lines))
      t.strictSame(differences, [], `${recorded.case}: the same on every transport`);
  }
  if (altKey !== undefined) t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(`${cases.length} verdicts on credentials replayed through the running gateway`);
}

type Tap = Pick<typeof t, 'strictSame' | 'pass' | 'comment' | 'teardown'>;

t.test('with all three keys', (t) => replay(t, alt, RECORDED.cases));
t.test('without an alternative key', (t) =>
  replay(
    t,
    undefined,
    RECORDED.cases.filter(({ oneKey }) => oneKey !== undefined),
  ),
);
