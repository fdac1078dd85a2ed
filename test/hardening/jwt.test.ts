import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { KEYS } from '../support/gateway.ts';
import { casesOf, only, percentile, say, startArena } from '../support/invariants.ts';
import { framesTo, grpcFields, request } from '../support/invariants-http2.ts';
import { runScript } from '../support/process/run-script.ts';
import { collectionToken, makeToken, nowSeconds } from '../support/tokens.ts';

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
/** A token of any header and claims; `mac` replaces the right signature. */
function forge(header: object, claims: unknown, mac?: string): string {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${mac ?? createHmac('sha256', KEYS.admin).update(text).digest('base64url')}`;
}

const fetched: string[] = [];
const trap = createServer((incoming, response) => {
  fetched.push(incoming.url ?? '');
  response.end('{}');
}).listen(0, '127.0.0.1');
t.teardown(() => trap.close());
/** Answers of upstream to the look-ups of `value_exists`, by the collection that is asked. */
let scrolling = 0;
let widest = 0;
const arena = await startArena(
  { QDRANT_GATEWAY__VALUE_EXISTS__TIMEOUT_MS: '3000' },
  {
    onRest(incoming, response) {
      const name = /^\/collections\/(slow|broken|gone|there|empty)\/points\/scroll/.exec(incoming.url ?? '')?.[1];
      if (name === undefined) return false;
      incoming.resume();
      scrolling += 1;
      widest = Math.max(widest, scrolling);
      const done = (status: number, body: string): void => {
        scrolling -= 1;
        response.writeHead(status, { 'content-type': 'application/json' }).end(body);
      };
      const points = (list: string) => `{"result":{"points":${list},"next_page_offset":null},"status":"ok","time":0}`;
      if (name === 'slow') setTimeout(() => done(200, points('[{"id":1}]')), 600_000).unref();
      else if (name === 'broken') done(500, 'broken');
      else if (name === 'gone')
        done(404, '{"status":{"error":"Not found: Collection `gone` doesn\'t exist!"},"time":0}');
      else setTimeout(() => done(200, points(name === 'there' ? '[{"id":1}]' : '[]')), 20);
      return true;
    },
  },
);
const trapped = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`;
const test = casesOf(arena);
const EXISTS = '/collections/mine/exists';
const status = async (token: string): Promise<number> =>
  (await say(arena, only('GET', EXISTS, token))).statuses[0] ?? 0;

const claims = { access: 'r' };
const FOREIGN: readonly (readonly [name: string, token: string])[] = [
  ...['none', 'None', 'NONE', '', 'hs256', 'HS384', 'HS512', 'RS256', 'ES256', 'PS256', 'EdDSA'].map(
    (alg) => [`alg \`${alg}\``, forge({ alg, typ: 'JWT' }, claims)] as const,
  ),
  ['alg none without a signature', forge({ alg: 'none' }, claims, '')],
  ['no alg', forge({ typ: 'JWT' }, claims)],
  ['alg as a list', forge({ alg: ['HS256'] }, claims)],
  ['RS256 with an embedded key', forge({ alg: 'RS256', jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } }, claims)],
  ['ES256 with an embedded key', forge({ alg: 'ES256', jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } }, claims)],
];
const emptyKey = (header: object) => {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${createHmac('sha256', '').update(text).digest('base64url')}`;
};

test('J1: no algorithm but HS256, and nothing a header names is fetched or opened', async (t) => {
  for (const [name, token] of FOREIGN) t.equal(await status(token), 401, name);
  const pointing = { jku: `${trapped}/jku`, x5u: `${trapped}/x5u`, kid: '../../../../dev/null' };
  t.equal(await status(emptyKey({ alg: 'HS256', ...pointing })), 403, 'a key from the header does not count');
  t.equal(await status(emptyKey({ alg: 'HS256', kid: "x' UNION SELECT '' --" })), 403);
  t.equal(
    await status(forge({ alg: 'HS256', ...pointing }, claims)),
    200,
    'signed rightly it is a token like any other',
  );
  t.same(fetched, [], 'no fetch');
  t.same(arena.asked(), [`GET ${EXISTS}`], 'I1');
});

test('J2: a signature that is not the right one is refused', async (t) => {
  const good = makeToken(claims);
  const [header = '', body = '', mac = ''] = good.split('.');
  const swapped = makeToken({ access: 'm' }).split('.')[2] ?? '';
  const flipped = Buffer.from(mac, 'base64url');
  flipped[31] = (flipped[31] ?? 0) ^ 1;
  const bad: Readonly<Record<string, readonly [string, number]>> = {
    empty: ['', 403],
    'of another token': [swapped, 403],
    'cut to 16 bytes': [Buffer.from(mac, 'base64url').subarray(0, 16).toString('base64url'), 403],
    'one byte longer': [Buffer.concat([Buffer.from(mac, 'base64url'), Buffer.alloc(1)]).toString('base64url'), 403],
    'one bit flipped': [flipped.toString('base64url'), 403],
    padded: [`${mac}=`, 401],
    'of another alphabet': [`${mac.slice(0, -1)}+`, 401],
  };
  for (const [name, [signature, expected]] of Object.entries(bad)) {
    t.equal(await status(`${header}.${body}.${signature}`), expected, name);
  }
  t.equal(await status(`${header}.${encode({ access: 'm' })}.${mac}`), 403, 'other claims under it');
  t.same(arena.asked(), [], 'I1');
  t.equal(await status(good), 200);
});

test('J5: exp is a whole number, to the second with thirty of leeway', async (t) => {
  const now = nowSeconds();
  const wrong = [
    '"9999999999"',
    '1.5e10',
    `${now + 60}.5`,
    '-1',
    'null',
    '1e30',
    '1e10',
    '18446744073709551616',
    'true',
    '[]',
    '-0',
  ];
  const raw = (exp: string) => {
    const text = `${encode({ alg: 'HS256' })}.${Buffer.from(`{"access":"r","exp":${exp}}`).toString('base64url')}`;
    return `${text}.${createHmac('sha256', KEYS.admin).update(text).digest('base64url')}`;
  };
  for (const exp of wrong) t.equal(await status(raw(exp)), 401, exp);
  for (const exp of [0, 1, now - 40]) t.equal(await status(raw(String(exp))), 403, `${exp}`);
  for (const exp of [String(now - 25), String(now + 60), '18446744073709551615'])
    t.equal(await status(raw(exp)), 200, exp);
});

test('J6: other registered claims and header fields are read as upstream reads them', async (t) => {
  const future = nowSeconds() + 9999;
  const header = { alg: 'HS256', typ: 'JWT' };
  for (const extra of [{ nbf: future }, { iat: 'x' }, { aud: ['x'] }, { iss: 5 }, { jti: {} }, { nonsense: [[[1]]] }]) {
    t.equal(await status(forge(header, { ...claims, ...extra })), 200, JSON.stringify(extra));
  }
  for (const extra of [{ zip: 'DEF' }, { typ: 'at+jwt' }, { cty: 'JWT' }, { typ: null }]) {
    t.equal(await status(forge({ ...header, ...extra }, claims)), 200, JSON.stringify(extra));
  }
  for (const extra of [{ b64: false }, { typ: 5 }, { kid: 1 }, { foo: 1 }, { cty: {} }, { crit: 'exp' }]) {
    t.equal(await status(forge({ ...header, ...extra }, claims)), 401, JSON.stringify(extra));
  }
});

test('J8: an access claim that is not quite right gives nothing', async (t) => {
  const entry = { collection: 'mine', access: 'r' };
  const wrong = [
    'w',
    'rw',
    'prw',
    'R',
    '',
    'admin',
    null,
    5,
    true,
    {},
    [[]],
    [5],
    ['mine'],
    [{ collection: 'mine' }],
    [{ access: 'r' }],
    [{ ...entry, access: 'm' }],
    [{ ...entry, access: 'R' }],
    [{ ...entry, access: null }],
    [{ ...entry, collection: null }],
    [{ ...entry, collection: ['mine'] }],
    [entry, entry],
    [entry, { ...entry, access: 'rw' }],
    [{ ...entry, payload: {} }],
    [{ ...entry, payload: { a: 1 } }],
  ];
  for (const access of wrong) t.equal(await status(makeToken({ access })), 401, JSON.stringify(access));
  t.equal(await status(makeToken({ access: [] })), 403, 'an empty list lists nothing');
  t.equal(await status(makeToken({ access: [{ ...entry, extra: { m: 'x' } }] })), 200, 'unknown fields are ignored');
  t.equal(await status(makeToken({ access: [{ ...entry, collection: 'Mine' }] })), 403);
  t.equal(await status(makeToken({ access: [{ ...entry, collection: '*' }] })), 403, 'no pattern');
  t.equal(arena.asked().length, 1, 'I1');
});

test('J9: value_exists fails closed, in time, and is asked once for those who ask together', async (t) => {
  const token = (collection: string, key = 'k', value: unknown = 'v') =>
    makeToken({ ...claims, value_exists: { collection, matches: [{ key, value }] } });
  t.equal(await status(token('there')), 200);
  t.equal(await status(token('empty')), 401, 'no such point');
  t.equal(await status(token('gone')), 403, 'no such collection');
  t.ok((await status(token('broken'))) >= 400, 'a failing look-up');
  t.ok((await status(token('slow'))) >= 400, 'a slow look-up ends at its limit');
  for (const name of ['../other', 'a/b', '']) t.ok([401, 403].includes(await status(token(name))), `\`${name}\``);
  arena.upstream.recorder.clear();
  await status(token('there', 'k', '"}}],"must_not":[{"x":"\u0000'));
  const [asked] = arena.upstream.recorder.rest;
  t.same(
    JSON.parse(asked?.body.toString() ?? '').filter.must,
    [{ key: 'k', match: { value: '"}}],"must_not":[{"x":"\u0000' } }],
    'no injection',
  );
  arena.upstream.recorder.clear();
  widest = 0;
  const codes = await Promise.all(Array.from({ length: 100 }, () => status(token('there'))));
  t.same([...new Set(codes)], [200]);
  t.ok(widest <= 32, `${widest} look-ups at once`);
  const together = arena.asked().filter((line) => line.includes('/scroll')).length;
  t.ok(together < 100, `${together} look-ups for 100 requests`);
});

t.test('J12: keys that cannot be meant are refused or warned about at start', async (t) => {
  const base = {
    QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1',
    QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://127.0.0.1:1',
  };
  const check = (env: Record<string, string>) =>
    runScript(['src/cli/main.ts', 'check-config'], { env: { ...base, ...env } });
  t.not((await check({})).code, 0, 'no key at all');
  const warned = [
    { QDRANT__SERVICE__API_KEY: 'key\nwith a line end in it' },
    { QDRANT__SERVICE__API_KEY: 'k\u00e9y-0123456789-0123456789-0123' },
    { QDRANT__SERVICE__API_KEY: 'k9z', QDRANT__SERVICE__JWT_RBAC: 'true' },
    { QDRANT__SERVICE__API_KEY: KEYS.admin, QDRANT__SERVICE__READ_ONLY_API_KEY: KEYS.admin },
  ];
  for (const env of warned) {
    const { code, out, err } = await check(env);
    t.ok(code !== 0 || /warning/i.test(out + err), `${JSON.stringify(Object.keys(env))}: refused or warned`);
    t.notMatch(out + err, env.QDRANT__SERVICE__API_KEY, 'I3');
  }
});

test('J1, J2: over gRPC as over REST', async (t) => {
  const client = await framesTo(arena, 'grpc');
  let id = 1;
  const code = async (token: string) => {
    const result = await request(
      client,
      id,
      grpcFields('/qdrant.Collections/List', [['api-key', token]]),
      Buffer.alloc(0),
    );
    id += 2;
    return result;
  };
  for (const [name, token] of FOREIGN) t.equal(await code(token), 'grpc 16', name);
  t.equal(await code(forge({ alg: 'HS256' }, claims, '')), 'grpc 7', 'an empty signature');
  t.equal(await code(collectionToken('r', 'mine')), 'grpc 0');
  client.close();
});

test('H6: the time of a refusal does not tell how much of a key was right', async (t) => {
  const guesses = [
    `x${KEYS.admin.slice(1)}`,
    `${KEYS.admin.slice(0, -1)}x`,
    'x'.repeat(KEYS.admin.length),
    'x',
    'x'.repeat(200),
  ];
  const times = guesses.map((): number[] => []);
  for (let round = 0; round < 60; round += 1) {
    for (const [index, guess] of guesses.entries()) {
      const answer = await say(arena, only('GET', EXISTS, guess));
      if (answer.statuses[0] !== 401) t.fail('a wrong key was accepted');
      times[index]?.push(answer.ms);
    }
  }
  const medians = times.map((ms) => percentile(ms, 0.5));
  const [least, most] = [Math.min(...medians), Math.max(...medians)];
  t.ok(most < 3 * least, `medians of the same size: ${medians.map((ms) => ms.toFixed(2))}`);
});
