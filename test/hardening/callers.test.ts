import { once } from 'node:events';
import t from 'tap';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { createKeyRing } from '../../src/identity/key-ring.ts';
import { newKeyText } from '../../src/identity/key-text.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { openHttp2 } from '../support/clients/sockets.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { startGateway } from '../support/gateway.ts';
import { namedKey } from '../support/named-keys.ts';
import { makeToken } from '../support/tokens.ts';
import { AGREEABLE } from '../support/verdicts/lanes.ts';

/* P13 and P14: attacks on limits per caller and on named keys: many ways in at once, other spellings of a collection, clocks that step. */

const QUERY = '{"query":[0.1,0.2,0.3,0.4]}';
const MOST = 10;
const subject = (name: string) => ({ 'api-key': makeToken({ access: 'm', subject: name }) });

const gateway = await startGateway({
  upstream: AGREEABLE,
  limits: [
    { id: 'all', mode: 'enforce', each: 'principal', subjects: ['many'], requests: { per: 'day', most: MOST } },
    {
      ...{ id: 'docs', mode: 'enforce', each: 'principal', subjects: ['spells'] },
      ...{ collections: ['docs'], requests: { per: 'day', most: MOST } },
    },
  ],
});
const client = rawClient(gateway);
t.teardown(async () => {
  client.close();
  await gateway.close();
});

type Ask = () => Promise<boolean>;

/** Whether the request was let pass. */
function overHttp1(path: string, headers: Readonly<Record<string, string>>): Ask {
  const length = { 'content-length': String(QUERY.length) };
  return async () => (await ask(gateway, 'POST', path, { ...headers, ...length }, QUERY)).status === 200;
}

function overGrpc(bytes: Uint8Array, headers: Readonly<Record<string, string>>): Ask {
  return async () => (await unary(client, '/qdrant.Points/Query', bytes, headers)).code === 0;
}

t.test('many connections, streams and lanes at once have the amount together', async (test) => {
  const caller = subject('many');
  const sessions = await Promise.all([1, 2, 3].map(() => openHttp2(gateway.rest.port, gateway.ca)));
  const clients = [1, 2, 3].map(() => rawClient(gateway));
  test.teardown(() => {
    for (const one of [...sessions, ...clients]) one.close();
  });
  const path = '/collections/docs/points/query';
  const overHttp2 = sessions.map((session): Ask => {
    return async () => {
      const stream = session.request({ ':method': 'POST', ':path': path, ...caller });
      const head = once(stream, 'response') as Promise<[Record<string, unknown>]>;
      stream.end(QUERY);
      stream.resume();
      return (await head)[0][':status'] === 200;
    };
  });
  const ways: readonly Ask[] = [
    ...overHttp2,
    ...clients.map((one): Ask => {
      return async () => (await unary(one, '/qdrant.Points/Query', message({ 1: 'docs' }), caller)).code === 0;
    }),
    overHttp1(path, caller),
    overHttp1(path, { ...caller, 'content-encoding': 'identity' }),
    overHttp1(path, { authorization: `Bearer ${caller['api-key']}` }),
  ];
  const passed = await Promise.all(ways.flatMap((way) => Array.from({ length: 5 }, () => way())));
  test.equal(passed.filter(Boolean).length, MOST);
  test.equal(passed.length, 45);
});

/** Spellings of one collection count together; other names do not. */
const SPELLINGS: readonly (readonly [name: string, counts: boolean, ask: Ask])[] = (() => {
  const caller = subject('spells');
  const rest = (path: string) => overHttp1(`/collections/${path}/points/query`, caller);
  const bytes = (hex: string) => overGrpc(Buffer.from(hex, 'hex'), caller);
  return [
    ['plain', true, rest('docs')],
    ['an escaped letter', true, rest('%64ocs')],
    ['all letters escaped', true, rest('%64%6F%63%73')],
    ['escapes in lower case', true, rest('%64%6f%63%73')],
    ['by the server', true, overHttp1('/collections/docs/points/query', { ...caller, 'content-encoding': 'identity' })],
    ['another route', true, overHttp1('/collections/docs/points/count', caller)],
    ['a query', true, overHttp1('/collections/docs/points/query?timeout=3', caller)],
    ['a message', true, bytes('0a04646f6373')],
    ['a tag of two bytes', true, bytes('8a0004646f6373')],
    ['a length of two bytes', true, bytes('0a8400646f6373')],
    ['capitals', false, rest('DOCS')],
    ['escaped twice', false, rest('%2564ocs')],
    ['another name in a message', false, bytes('0a04444f4353')],
  ];
})();

t.test('spellings of a collection count on its limit together', async (test) => {
  let left = MOST;
  for (const [name, counts, once] of SPELLINGS) {
    test.equal(await once(), true, name);
    if (counts) left -= 1;
  }
  test.equal(left, 0, 'the amount is used up');
  for (const [name, counts, once] of SPELLINGS) test.equal(await once(), !counts, `${name}, again`);
});

const HOUR = 3_600_000;
const TEXT = newKeyText('team');
/** Clocks that step: what a key from 10 to 12 o'clock is answered at each moment, in this order. */
const STEPS: readonly (readonly [hour: number, answer: string])[] = [
  [9, 'key_not_yet_valid'],
  [10, 'team'],
  [11.9, 'team'],
  [12, 'key_expired'],
  [11, 'team'],
  [9.9, 'key_not_yet_valid'],
  [1000, 'key_expired'],
  [0, 'key_not_yet_valid'],
  [11, 'team'],
];

t.test('a clock that steps changes no more than the time that it tells', async (test) => {
  let now = 0;
  const key = namedKey('team', TEXT, { notBefore: 10 * HOUR, expiresAt: 12 * HOUR });
  const { authenticate } = createAuthenticator({
    ring: createKeyRing({ namedKeys: [key] }, 1),
    cacheEntries: 10,
    now: () => now,
  });
  for (const [hour, answer] of STEPS) {
    now = hour * HOUR;
    const identity = await authenticate(['api-key', TEXT]);
    test.equal(identity.kind === 'denial' ? identity.code : identity.keyId, answer, `at ${hour}`);
  }
});
