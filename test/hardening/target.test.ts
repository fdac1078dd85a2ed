import type t from 'tap';
import { KEYS } from '../support/gateway.ts';
import { type Arena, CREDENTIALS, casesOf, only, say, startArena } from '../support/invariants.ts';
import { collectionToken } from '../support/tokens.ts';

/** What is not in the table of operations goes upstream for the admin only, canonical all the same. A target, what a token that lists `mine` gets, what the admin key gets, and what upstream is asked for the admin. */
type TargetCase = readonly [target: string, reader: number, admin: number, sent: string | undefined];

const SPELLINGS: readonly TargetCase[] = [
  ['/collections/mine/exists', 200, 200, '/collections/mine/exists'],
  ['//collections//mine//exists//', 200, 200, '/collections/mine/exists'],
  ['/collections/mine/exists/', 200, 200, '/collections/mine/exists'],
  ['/collections/mine/exists?a=/../other', 200, 200, '/collections/mine/exists?a=/../other'],
  ['/collections/mine/exists#/../other', 200, 200, '/collections/mine/exists'],
  ['/collections/other/exists', 403, 200, '/collections/other/exists'],
  [
    '/collections/other/exists?/collections/mine/exists',
    403,
    200,
    '/collections/other/exists?/collections/mine/exists',
  ],
  ['/collections/mine/../other/exists', 404, 404, undefined],
  ['/collections/mine/%2e%2e/other/exists', 404, 404, undefined],
  ['/collections/mine/%2E./other/exists', 404, 404, undefined],
  ['/collections/./mine/exists', 404, 404, undefined],
  ['/collections/mine/./exists', 404, 404, undefined],
  ['/collections/../collections/other/exists', 404, 404, undefined],
  ['/collections/mine%2f..%2fother/exists', 422, 422, undefined],
  ['/collections/..%2fother/exists', 422, 422, undefined],
  ['/collections/mine\\..\\other/exists', 403, 200, '/collections/mine%5C..%5Cother/exists'],
  ['\\collections\\other\\exists', 400, 400, undefined],
  ['/collections/mine;p=1/exists', 403, 200, '/collections/mine%3Bp%3D1/exists'],
  ['/collections/mine/exists;p=1', 404, 404, '/collections/mine/exists%3Bp%3D1'],
  ['/Collections/mine/exists', 404, 404, '/Collections/mine/exists'],
  ['/collections/mine/EXISTS', 404, 404, '/collections/mine/EXISTS'],
  ['/collections/mine/exists%00', 404, 404, undefined],
  ['/collections/mine/exists.', 404, 404, '/collections/mine/exists.'],
];

const NAMES: readonly TargetCase[] = [
  ['/collections/%6dine/exists', 200, 200, '/collections/mine/exists'],
  ['/collections/%6D%69%6E%65/exists', 200, 200, '/collections/mine/exists'],
  ['/collections/%256dine/exists', 403, 200, '/collections/%256dine/exists'],
  ['/collections/mine%25/exists', 403, 200, '/collections/mine%25/exists'],
  ['/collections/mine%20/exists', 403, 200, '/collections/mine%20/exists'],
  ['/collections/Mine/exists', 403, 200, '/collections/Mine/exists'],
  ['/collections/m%C4%B1ne/exists', 403, 200, '/collections/m%C4%B1ne/exists'],
  ['/collections/%6fther/exists', 403, 200, '/collections/other/exists'],
  ['/collections/mine%2Fexists', 422, 422, undefined],
  ['/collections/%2F/exists', 422, 422, undefined],
  ['/collections/mine%00/exists', 422, 422, undefined],
];

const OTHER_HOSTS: readonly TargetCase[] = [
  ['//collections/mine/exists', 200, 200, '/collections/mine/exists'],
  ['//evil.test/collections/mine/exists', 404, 404, '/evil.test/collections/mine/exists'],
  ['///evil.test/x', 404, 404, '/evil.test/x'],
  ['//evil.test@localhost/collections', 404, 404, '/evil.test%40localhost/collections'],
  ['http://evil.test/collections/mine/exists', 400, 400, undefined],
  ['http://localhost@evil.test/collections/mine/exists', 400, 400, undefined],
  ['https://evil.test:443/', 400, 400, undefined],
  ['/http://evil.test/', 404, 404, '/http%3A/evil.test'],
  ['file:///etc/passwd', 404, 404, undefined],
  ['http://localhost/collections/mine/exists', 200, 200, '/collections/mine/exists'],
];

/** What is open without a credential, exactly as upstream matches it; and what only looks so. */
const OPEN: readonly (readonly [target: string, status: number])[] = [
  ['/healthz', 200],
  ['//healthz//', 200],
  ['/healthz?x=/collections', 200],
  ['/livez', 200],
  ['/readyz', 200],
  ['/dashboard/', 200],
  ['/dashboard/../collections', 404],
  ['/dashboard/%2e%2e/collections', 404],
  ['/dashboard/..%2fcollections', 400],
  ['/dashboard\\..\\collections', 401],
  ['/dashboard%2f..%2fcollections', 401],
  ['/dashboardx', 401],
  ['/%64ashboard', 401],
  ['/healthzX', 401],
  ['/healthz/x', 401],
  ['/healthz;x', 401],
  ['/healthz%2f', 401],
  ['/h%65althz', 401],
  ['/HEALTHZ', 401],
  ['/livez/../collections', 401],
  ['/collections?/healthz', 401],
  ['/collections#/healthz', 401],
];

const BROKEN: readonly (readonly [what: string, target: string, statuses: readonly number[]])[] = [
  ['a malformed escape', '/collections/%zz/exists', [400]],
  ['a cut escape', '/collections/%6', [400]],
  ['a lone per cent sign', '/collections/%/exists', [400]],
  ['a byte that is no UTF-8', '/collections/%ff/exists', [400]],
  ['an overlong encoding of a slash', '/collections/%c0%af/exists', [400]],
  ['a surrogate in UTF-8', '/collections/%ed%a0%80/exists', [400]],
  ['a code point beyond Unicode', '/collections/%f4%90%80%80/exists', [400]],
  ['an escape written twice', '/collections/%%36%31/exists', [400]],
  ['an encoded NUL', '/collections/%00/exists', [400, 422]],
  ['a name of 16 KiB', `/collections/${'a'.repeat(16 << 10)}/exists`, [400, 422]],
  ['a path of 16 KiB of slashes', `${'/'.repeat(16 << 10)}nope`, [404]],
  ['a path of 4 000 segments', `${'/a'.repeat(4000)}`, [404]],
  ['a path of 64 KiB', `/collections/${'a'.repeat(64 << 10)}/exists`, [400, 414, 431]],
  ['a query of 60 KB', `/nope?${'a'.repeat(60_000)}`, [404]],
];

const OVERRIDES = [
  'x-http-method-override: DELETE',
  'x-http-method: DELETE',
  'x-method-override: DELETE',
  'x_http_method_override: DELETE',
  'x-original-url: /healthz',
  'x-rewrite-url: /healthz',
  'x-forwarded-uri: /healthz',
  'x-forwarded-prefix: /healthz',
  'x-original-uri: /healthz',
  'x-forwarded-path: /healthz',
  'user-agent: kube-probe/1.30',
  'x-forwarded-host: evil.test',
];

function targetCases(arena: Arena, lane: string): void {
  const test = casesOf(arena);
  const judged = async (t: Tap, cases: readonly TargetCase[]) => {
    for (const [target, reader, admin, sent] of cases) {
      arena.upstream.recorder.clear();
      const narrow = await say(arena, only('GET', target, CREDENTIALS.reader));
      t.same(
        [narrow.statuses, arena.asked()],
        [[reader], reader === 200 ? [`GET ${sent}`] : []],
        `${target}, lists \`mine\``,
      );
      arena.upstream.recorder.clear();
      const wide = await say(arena, only('GET', target, KEYS.admin));
      t.same([wide.statuses, arena.asked()], [[admin], sent === undefined ? [] : [`GET ${sent}`]], `${target}, admin`);
    }
  };

  test(`P1: whatever the spelling of a path, one form is judged and forwarded (${lane})`, (t) => judged(t, SPELLINGS));

  test(`P2: an encoded name is judged decoded (${lane})`, async (t) => {
    await judged(t, NAMES);
    const token = collectionToken('r', 'p\u00e4th/ %');
    arena.upstream.recorder.clear();
    t.match(await say(arena, only('GET', '/collections/p%c3%a4th%20%25/exists', token)), { statuses: [403] });
    t.match(await say(arena, only('GET', '/collections/p%c3%a4th/exists', collectionToken('r', 'p\u00e4th'))), {
      statuses: [200],
    });
    t.match(await say(arena, only('GET', '/collections/pa%CC%88th/exists', collectionToken('r', 'p\u00e4th'))), {
      statuses: [403],
    });
    t.same(arena.asked(), ['GET /collections/p%C3%A4th/exists']);
  });

  test(`P5: no target names another upstream (${lane})`, (t) => judged(t, OTHER_HOSTS));

  test(`P7: only what upstream leaves open is open, no look-alike and no user agent opens more (${lane})`, async (t) => {
    for (const [target, status] of OPEN) {
      arena.upstream.recorder.clear();
      const { statuses } = await say(arena, only('GET', target, undefined, ['user-agent: kube-probe/1.30']));
      t.same(statuses, [status], target);
      const paths = arena.asked().map((line) => line.split(/[ ?]/)[1] ?? '');
      t.same(
        paths.filter((path) => !/^\/(healthz|livez|readyz|dashboard(\/.*)?)$/.test(path)),
        [],
        `${target}: I1`,
      );
      t.notMatch(paths.join(), /\.\.|%2e|\\|collections/i);
    }
  });

  test(`P8: targets that cannot be read are refused, at once (${lane})`, async (t) => {
    for (const [what, target, statuses] of BROKEN) {
      const answer = await say(arena, only('GET', target, CREDENTIALS.reader));
      t.ok(
        answer.closed && answer.statuses.every((status) => statuses.includes(status)),
        `${what}: ${answer.statuses}`,
      );
    }
    t.same(arena.asked(), [], 'I1');
  });

  test(`P10: no header changes method or target, and none of these goes upstream (${lane})`, async (t) => {
    for (const line of OVERRIDES) {
      t.match(await say(arena, only('GET', '/collections/other', undefined, [line])), { statuses: [401] }, line);
      t.match(
        await say(arena, only('GET', '/collections/other', CREDENTIALS.reader, [line])),
        { statuses: [403] },
        line,
      );
    }
    t.same(arena.asked(), [], 'I1');
    await say(arena, only('GET', '/collections/mine/exists', CREDENTIALS.reader, OVERRIDES.slice(0, 8)));
    t.same(arena.asked(), ['GET /collections/mine/exists'], 'I2');
    t.notMatch(arena.upstream.recorder.rest[0]?.rawHeaders.join('|'), /method|original|rewrite|-uri|prefix/i);
  });
}

type Tap = Pick<typeof t, 'same' | 'ok'>;

const relayed = await startArena();
const unrelayed = await startArena({ QDRANT_GATEWAY__REST__RELAY: 'false' });
targetCases(relayed, 'relay');
targetCases(unrelayed, 'lane');
