import type t from 'tap';
import { KEYS } from '../support/gateway.ts';
import { type Arena, CREDENTIALS, casesOf, head, only, say, startArena } from '../support/invariants.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { CATALOGUE } from './framing-catalogue.ts';

const PUT = head('PUT', '/collections/mine/points', KEYS.admin);
const SECOND = only('GET', '/collections/smuggled', KEYS.admin);
const CHUNKS = '2\r\n{}\r\n0\r\n\r\n';

/** Header lines of a request with a body, and what is sent behind the head. */
type Framing = readonly [name: string, lines: string, body: string];

const TWO_READINGS: readonly Framing[] = [
  ['a length, then chunked', 'content-length: 5\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${SECOND}`],
  ['chunked, then a length', 'transfer-encoding: chunked\r\ncontent-length: 5\r\n', `0\r\n\r\n${SECOND}`],
  ['two chunked lines', 'transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n', CHUNKS],
  ['chunked, then identity', 'transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n', CHUNKS],
  ['a length of zero beside chunked', 'content-length: 0\r\ntransfer-encoding: chunked\r\n', CHUNKS],
  ['two different lengths', 'content-length: 2\r\ncontent-length: 3\r\n', `{}${SECOND}`],
  ['two equal lengths', 'content-length: 2\r\ncontent-length: 2\r\n', `{}${SECOND}`],
  ['two lengths in one line', 'content-length: 2, 2\r\n', `{}${SECOND}`],
  ['two lengths in letter case', 'Content-Length: 2\r\nCONTENT-LENGTH: 0\r\n', `{}${SECOND}`],
];

const OBFUSCATED: readonly Framing[] = [
  ['a blank before the colon', 'transfer-encoding : chunked\r\n', CHUNKS],
  ['a tab before the colon', 'transfer-encoding\t: chunked\r\n', CHUNKS],
  ['xchunked', 'transfer-encoding: xchunked\r\n', CHUNKS],
  ['a comma before', 'transfer-encoding: ,chunked\r\n', CHUNKS],
  ['a comma behind', 'transfer-encoding: chunked,\r\n', CHUNKS],
  ['identity', 'transfer-encoding: identity\r\n', CHUNKS],
  ['gzip before chunked', 'transfer-encoding: gzip, chunked\r\n', CHUNKS],
  ['chunked twice in one line', 'transfer-encoding: chunked, chunked\r\n', CHUNKS],
  ['quoted', 'transfer-encoding: "chunked"\r\n', CHUNKS],
  ['a parameter', 'transfer-encoding: chunked;q=1\r\n', CHUNKS],
  ['folded', 'transfer-encoding:\r\n chunked\r\n', CHUNKS],
  ['folded behind another header', 'x-a: b\r\n transfer-encoding: chunked\r\n', CHUNKS],
  ['a vertical tab', 'transfer-encoding: \vchunked\r\n', CHUNKS],
  ['a form feed', 'transfer-encoding: chunked\f\r\n', CHUNKS],
  ['a NUL', 'transfer-encoding: chunked\0\r\n', CHUNKS],
  ['empty', 'transfer-encoding: \r\n', CHUNKS],
];

const LENGTHS: readonly (readonly [text: string, served: boolean])[] = [
  ['', false],
  ['+2', false],
  ['-1', false],
  ['0x2', false],
  ['2_0', false],
  ['2 2', false],
  ['2.0', false],
  ['2e0', false],
  ['\u00b2', false],
  ['18446744073709551616', false],
  ['99999999999999999999999999', false],
  ['9223372036854775808', false],
  ['2', true],
  ['002', true],
];

const BAD_CHUNKS: readonly (readonly [name: string, chunks: string])[] = [
  ['no hexadecimal digit', 'zz\r\n{}\r\n0\r\n\r\n'],
  ['a sign', '+2\r\n{}\r\n0\r\n\r\n'],
  ['a prefix', '0x2\r\n{}\r\n0\r\n\r\n'],
  ['an underscore', '0_2\r\n{}\r\n0\r\n\r\n'],
  ['a blank before', ' 2\r\n{}\r\n0\r\n\r\n'],
  ['no size', '\r\n{}\r\n0\r\n\r\n'],
  ['over 64 bits', '10000000000000002\r\n{}\r\n0\r\n\r\n'],
  ['a bare line feed behind the size', '2\n{}\r\n0\r\n\r\n'],
  ['a bare carriage return behind the size', '2\r{}\r\n0\r\n\r\n'],
  ['more bytes than said', '2\r\n{}x\r\n0\r\n\r\n'],
  ['no line end behind the data', '2\r\n{}0\r\n\r\n'],
  ['a bare line feed in an extension', '2;a\n{}\r\n0\r\n\r\n'],
  ['a mebibyte of extensions', `2;${'a'.repeat(1 << 20)}\r\n{}\r\n0\r\n\r\n`],
];

const ODD_BYTES: readonly (readonly [name: string, bytes: string])[] = [
  ['bare line feeds', `GET /collections HTTP/1.1\nhost: localhost\napi-key: ${KEYS.admin}\n\n`],
  ['one bare line feed', `${head('GET', '/collections', KEYS.admin)}x-a: b\n\r\n`],
  ['an empty header name', `${head('GET', '/collections', KEYS.admin)}: b\r\n\r\n`],
  ['a blank header name', `${head('GET', '/collections', KEYS.admin)} : b\r\n\r\n`],
  ['a header without colon', `${head('GET', '/collections', KEYS.admin)}xa\r\n\r\n`],
  ['a NUL in a name', `${head('GET', '/collections', KEYS.admin)}x\0a: b\r\n\r\n`],
  ['a NUL in a value', `${head('GET', '/collections', KEYS.admin)}x-a: \0\r\n\r\n`],
  ['a control byte in a value', `${head('GET', '/collections', KEYS.admin)}x-a: a\x01b\r\n\r\n`],
  ['DEL in a value', `${head('GET', '/collections', KEYS.admin)}x-a: a\x7fb\r\n\r\n`],
  ['a bare carriage return in a value', `${head('GET', '/collections', KEYS.admin)}x-a: a\rb: c\r\n\r\n`],
  ['a carriage return before the end', `${head('GET', '/collections', KEYS.admin)}x-a: b\r\r\n\r\n`],
  ['another byte at the end of the head', `${head('GET', '/collections', KEYS.admin)}\rX${SECOND}`],
  ['a control byte in the request line', `GET /coll\x01ections HTTP/1.1\r\nhost: localhost\r\n\r\n`],
];

function framingCases(arena: Arena, lane: string): void {
  const test = casesOf(arena);
  const refused = async (t: Tap, what: string, bytes: string, statuses: readonly number[] = [400]) => {
    const { statuses: seen, closed } = await say(arena, bytes, { withinMs: PATIENCE_MS });
    t.match({ seen: seen.length, closed }, { seen: 1, closed: true }, `${what}: one answer, then the end`);
    t.ok(statuses.includes(seen[0] ?? 0), `${what}: ${seen}`);
  };

  test(`F1: two lengths, or a length beside chunked, are refused and nothing goes upstream (${lane})`, async (t) => {
    for (const [name, lines, body] of TWO_READINGS) await refused(t, name, `${PUT}${lines}\r\n${body}`);
    t.same(arena.asked(), [], 'I1');
  });

  test(`F2: a disguised Transfer-Encoding is refused and nothing goes upstream (${lane})`, async (t) => {
    for (const [name, lines, body] of OBFUSCATED) await refused(t, name, `${PUT}${lines}\r\n${body}`);
    t.same(arena.asked(), [], 'I1');
  });

  test(`F4: a Content-Length is decimal digits or refused (${lane})`, async (t) => {
    for (const [length, served] of LENGTHS) {
      const bytes = `${PUT}connection: close\r\ncontent-length: ${length}\r\n\r\n{}`;
      if (!served) await refused(t, `length \`${length}\``, bytes);
      else t.same((await say(arena, bytes)).statuses.length, 1, `length \`${length}\` is read`);
    }
    const bodies = arena.upstream.recorder.rest.map(({ body }) => body.toString());
    t.same(bodies, ['{}', '{}'], 'I1, I2: two are served, each with its two bytes');
  });

  test(`F5: tricks with chunk sizes end the request, at once and without a whole body upstream (${lane})`, async (t) => {
    for (const [name, chunks] of BAD_CHUNKS) {
      const bytes = `${PUT}transfer-encoding: chunked\r\n\r\n${chunks}`;
      const { closed, statuses } = await say(arena, bytes, { withinMs: PATIENCE_MS });
      t.ok(closed && !statuses.includes(408), `${name}: ended, and not by a time limit: ${statuses}`);
      t.ok(statuses.length <= 1 && statuses.every((status) => status >= 400), `${name}: ${statuses}`);
    }
    const whole = arena.upstream.recorder.rest.filter(({ state }) => state === 'complete');
    t.same(whole.length, 0, 'upstream never took one for a whole body');
    arena.upstream.recorder.clear();
    const small = `${`1;${'a'.repeat(1 << 10)}\r\nx\r\n`.repeat(1 << 10)}0\r\n\r\n`;
    const long = await say(arena, `${PUT}connection: close\r\ntransfer-encoding: chunked\r\n\r\n${small}`);
    t.ok(long.closed, `a mebibyte of extensions in small chunks is read in ${Math.round(long.ms)} ms`);
    t.same(
      arena.upstream.recorder.rest.map(({ body }) => body.toString()),
      ['x'.repeat(1 << 10)],
      'and not passed on',
    );
  });

  test(`F6: bare line feeds, control bytes and empty names are refused (${lane})`, async (t) => {
    for (const [name, bytes] of ODD_BYTES) await refused(t, name, bytes);
    t.same(arena.asked(), [], 'I1');
  });

  test(`F8: Upgrade opens no tunnel, what follows is judged on its own (${lane})`, async (t) => {
    for (const protocol of ['h2c', 'foo', 'websocket', 'TLS/1.0']) {
      const lines = ['connection: upgrade, http2-settings', `upgrade: ${protocol}`, 'http2-settings: AAMAAABk'];
      const first = `${head('GET', '/collections/mine', CREDENTIALS.reader, lines)}\r\n`;
      const { statuses } = await say(arena, first + only('GET', '/collections/other', CREDENTIALS.reader));
      t.not(statuses[0], 101, protocol);
      t.ok(statuses.length === 1 || statuses[1] === 403, `${protocol}: ${statuses}`);
    }
    t.same([...new Set(arena.asked())], ['GET /collections/mine'], 'I1');
    t.notMatch(
      arena.upstream.recorder.rest.flatMap(({ rawHeaders }) => rawHeaders).join('|'),
      /upgrade|http2-settings/i,
    );
  });

  test(`F9: CONNECT, TRACE, unknown and lower-case methods are refused (${lane})`, async (t) => {
    for (const method of ['CONNECT', 'TRACE', 'TRACK', 'FOO', 'get', 'GeT', 'PROPFIND', 'DEBUG', 'PRI']) {
      for (const credential of [undefined, CREDENTIALS.reader]) {
        const target = method === 'CONNECT' ? 'other.test:443' : '/collections/mine';
        const { statuses, closed } = await say(arena, only(method, target, credential));
        t.ok(
          closed && statuses.length === 1 && [400, 401, 403, 404, 405, 501].includes(statuses[0] ?? 0),
          `${method}: ${statuses}`,
        );
      }
    }
    t.match(await say(arena, only('OPTIONS', '*')), { statuses: [401] });
    t.match(await say(arena, only('OPTIONS', '*', KEYS.admin)), { statuses: [404] });
    t.same(arena.asked(), [], 'I1');
  });

  test(`F10: 100 Continue comes only after the decision, and no connection is spoilt by it (${lane})`, async (t) => {
    const expecting = (credential: string, length: number) =>
      `${head('PUT', '/collections/mine/points', credential, ['expect: 100-continue', `content-length: ${length}`])}`;
    const big = `{"x":"${'y'.repeat(5_000_000)}"}`;
    for (const body of ['5', big]) {
      const answer = await say(arena, `${expecting(KEYS.admin, body.length)}connection: close\r\n\r\n${body}`);
      t.equal(answer.statuses.length, 2, `${body.length} bytes: ${answer.statuses}`);
      t.equal(answer.statuses[0], 100);
    }
    t.same(
      arena.upstream.recorder.rest.map(({ received }) => received.length),
      [1, big.length],
      'I2',
    );
    t.notMatch(arena.upstream.recorder.rest.flatMap(({ rawHeaders }) => rawHeaders).join('|'), /expect/i);
    arena.upstream.recorder.clear();
    for (const [credential, status] of [
      ['wrong', 401],
      [CREDENTIALS.reader, 403],
    ] as const) {
      t.match(await say(arena, `${expecting(credential, 5_000_000)}\r\n`), { statuses: [status], closed: true });
    }
    t.same(arena.asked(), [], 'I1');
    const never = await say(arena, `${expecting(KEYS.admin, 5)}\r\n`, { withinMs: 8000 });
    t.ok(never.closed, 'a body that never comes is given up');
    t.same(
      never.statuses.filter((status) => status !== 100 && status !== 408),
      [],
      `${never.statuses}`,
    );
    await taggedAnswers(t, arena, 10);
  });

  test(`F12: fifty pipelined requests are judged each alone and answered in order (${lane})`, async (t) => {
    const kinds = [
      ['mine', CREDENTIALS.reader, 404],
      ['other', CREDENTIALS.reader, 403],
      ['any', 'wrong', 401],
      ['any', KEYS.admin, 404],
      ['any', undefined, 401],
    ] as const;
    const bytes = Array.from({ length: 50 }, (_, index) => {
      const [name, credential] = kinds[index % 5] ?? kinds[0];
      return `${head('GET', `/collections/${name}?n=${index}`, credential, index === 49 ? ['connection: close'] : [])}\r\n`;
    });
    const { statuses } = await say(arena, bytes.join(''));
    t.same(
      statuses,
      Array.from({ length: 50 }, (_, index) => kinds[index % 5]?.[2]),
    );
    const served = [...Array(50).keys()].filter((index) => index % 5 === 0 || index % 5 === 3);
    t.same(
      arena.asked(),
      served.map((index) => `GET /collections/${index % 5 === 0 ? 'mine' : 'any'}?n=${index}`),
      'I2',
    );
  });

  test(`F12: bytes that cannot be read take no answer along that is owed (${lane})`, async (t) => {
    const first = `${head('GET', '/collections?n=1', KEYS.admin)}\r\n`;
    const behind = [
      '\x00\x01\r\n\r\n',
      'GET  /collections HTTP/1.1\r\nhost: x\r\n\r\n',
      `${PUT}content-length: x\r\n\r\n`,
    ];
    for (const bytes of behind) {
      const { statuses, closed } = await say(arena, first + bytes);
      t.match({ statuses, closed }, { statuses: [200, /^(400|501)$/], closed: true }, JSON.stringify(bytes));
      const two = await say(arena, first + first + bytes);
      t.match(two, { statuses: [200, 200, /^(400|501)$/], closed: true }, `behind two: ${JSON.stringify(bytes)}`);
    }
    const cut = await say(arena, `${first}${PUT}transfer-encoding: chunked\r\n\r\nzz\r\n`);
    t.match(cut, { statuses: [200, 400], closed: true }, 'a body that cannot be read');
    t.same([...new Set(arena.asked())], ['GET /collections?n=1'], 'I2');
  });

  test(`F13: no second, missing or other host leads to another upstream (${lane})`, async (t) => {
    const key = `api-key: ${KEYS.admin}\r\n`;
    const hosts: readonly (readonly [name: string, bytes: string])[] = [
      ['two hosts', `GET /collections HTTP/1.1\r\nhost: localhost\r\nhost: evil.test\r\n${key}\r\n`],
      ['two equal hosts', `GET /collections HTTP/1.1\r\nhost: localhost\r\nHost: localhost\r\n${key}\r\n`],
      ['no host', `GET /collections HTTP/1.1\r\n${key}\r\n`],
      ['another host in the target', `GET http://evil.test/collections HTTP/1.1\r\nhost: localhost\r\n${key}\r\n`],
      [
        'user and password in the target',
        `GET http://a:b@localhost/collections HTTP/1.1\r\nhost: localhost\r\n${key}\r\n`,
      ],
    ];
    for (const [name, bytes] of hosts) await refused(t, name, bytes);
    await refused(t, 'authority form', `GET localhost:80 HTTP/1.1\r\nhost: localhost\r\n${key}\r\n`, [400, 404]);
    await refused(t, 'CONNECT', `CONNECT evil.test:443 HTTP/1.1\r\nhost: evil.test:443\r\n${key}\r\n`, [400, 405]);
    t.same(arena.asked(), [], 'I1');
    await say(arena, `GET /collections HTTP/1.1\r\nhost: evil.test\r\n${key}connection: close\r\n\r\n`);
    const [, host] = arena.upstream.recorder.rest[0]?.rawHeaders ?? [];
    t.equal(`http://${host}`, arena.upstream.restUrl, 'upstream is told its own name');
  });

  test(`F15: trailers give nothing and go nowhere (${lane})`, async (t) => {
    const late = 'x-forwarded-for: 6.6.6.6\r\ncontent-length: 9\r\nx-late: 1';
    const chunked = ['connection: close', 'trailer: api-key, x-late', 'transfer-encoding: chunked'];
    const put = (credential: string | undefined, key: string) =>
      `${head('PUT', '/collections/mine/points', credential, chunked)}\r\n2\r\n{}\r\n0\r\napi-key: ${key}\r\n${late}\r\n\r\n`;
    t.match(await say(arena, put(undefined, KEYS.admin)), { statuses: [401] });
    t.match(await say(arena, put(CREDENTIALS.reader, KEYS.admin)), { statuses: [403] });
    t.same(arena.asked(), [], 'I1');
    const { statuses } = await say(arena, put(KEYS.admin, 'wrong'));
    t.equal(statuses.length, 1);
    const records = arena.upstream.recorder.rest;
    t.same(
      records.map(({ body }) => body.toString()),
      statuses[0] === 400 && records.length === 0 ? [] : ['{}'],
    );
    t.notMatch(records.flatMap(({ rawHeaders }) => rawHeaders).join('|'), /trailer|x-late|6\.6\.6\.6/i);
  });

  test(`F16: ${CATALOGUE.length} framings of the public catalogues are refused or read in one way (${lane})`, async (t) => {
    for (const { name, bytes, expected } of CATALOGUE) {
      arena.upstream.recorder.clear();
      const { statuses, closed } = await say(arena, bytes, { withinMs: 2500 });
      const asked = arena.asked();
      if (expected === 'refused') {
        t.ok(
          closed && asked.length === 0 && statuses.every((status) => status >= 400),
          `${name}: ${statuses} ${asked}`,
        );
      } else {
        t.same({ statuses, asked }, expected, name);
      }
    }
  });
}

/** Invariant I7: requests that all differ, at once and in turn, get each its own answer. */
async function taggedAnswers(t: Tap, arena: Arena, count: number): Promise<void> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_, index) => say(arena, only('GET', `/collections/tag-${index}`, KEYS.admin))),
  );
  const tags = answers.map(({ text }) => /`(tag-\d+)`/.exec(text)?.[1]);
  t.same(
    tags,
    Array.from({ length: count }, (_, index) => `tag-${index}`),
    'I7: each gets its own answer',
  );
}

type Tap = Pick<typeof t, 'ok' | 'same' | 'match' | 'equal'>;

const limits = { QDRANT_GATEWAY__LIMITS__BODY_IDLE_TIMEOUT_MS: '1000' };
const relayed = await startArena(limits);
const unrelayed = await startArena({ ...limits, QDRANT_GATEWAY__REST__RELAY: 'false' });
framingCases(relayed, 'relay');
framingCases(unrelayed, 'lane');
