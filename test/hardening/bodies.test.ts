import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { Test } from 'tap';
import { naming } from '../support/clients/h2-client.ts';
import { openTls } from '../support/clients/sockets.ts';
import { KEYS } from '../support/gateway.ts';
import { shortened } from '../support/generators/runs.ts';
import {
  type Arena,
  CREDENTIALS,
  casesOf,
  head,
  legitimate,
  only,
  say,
  settles,
  startArena,
  usageOf,
} from '../support/invariants.ts';
import { framesTo, grpcFields, request } from '../support/invariants-http2.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { growthDuring } from '../support/process/gateway-process.ts';
import { stopwatch, timesLonger } from '../support/reference.ts';

const MANY = 10_000;
const names = Array.from({ length: MANY }, (_, index) => ({
  name: index % 100 === 0 ? 'mine' : `secret-${index}`,
  new: 1,
}));

/** Lists of upstream that have to be filtered: gzipped, cut inside names, with an unknown field, or no list at all. */
function onRest(incoming: IncomingMessage, response: ServerResponse): boolean {
  const body = JSON.stringify({
    result: { collections: names, hint: 'secret-1' },
    status: 'ok',
    time: 0.1,
    extra: 'secret',
  });
  switch (incoming.url) {
    case '/collections': {
      response.writeHead(200, { 'content-type': 'application/json', etag: '"x"' });
      for (let at = 0; at < body.length; at += 1009) response.write(body.slice(at, at + 1009));
      response.end();
      return true;
    }
    case '/collections?gzip': {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      response.end(gzipSync(body));
      return true;
    }
    case '/collections?odd': {
      response.end('{"result":{"collections":[{"name":"secret"');
      return true;
    }
    case '/collections/mine/points/query': {
      incoming.resume().on('end', () => response.end('{}'));
      return true;
    }
    case '/collections/mine/points/delete':
    case '/collections/mine/snapshots/upload': {
      const hash = createHash('sha256');
      incoming.on('data', (chunk: Buffer) => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')));
      return true;
    }
    default:
      return false;
  }
}

const arena = await startArena({ QDRANT_GATEWAY__LIMITS__BODY_IDLE_TIMEOUT_MS: '1000' }, { onRest });
const test = casesOf(arena);
const POINTS = '/collections/mine/points';
const post = (target: string, credential: string | undefined, body: string, lines: readonly string[] = []) =>
  `${head('POST', target, credential, ['connection: close', `content-length: ${Buffer.byteLength(body)}`, ...lines])}\r\n${body}`;

const lookup = '"lookup_from":{"collection":"other"}';
const FORBIDDEN: readonly (readonly [target: string, body: string])[] = [
  [`${POINTS}/query`, `{"query":1,${lookup}}`],
  [`${POINTS}/query`, `{"prefetch":[{"prefetch":{"query":1,${lookup}}}],"query":1}`],
  [`${POINTS}/query`, '{"query":1,"look\\u0075p_from":{"collection":"other"}}'],
  [`${POINTS}/query`, '{"query":1,"lookup_from":{"collection":"\\u006fther"}}'],
  [`${POINTS}/query/batch`, `{"searches":[{"query":1},{"query":1,${lookup}}]}`],
  [`${POINTS}/query/groups`, '{"query":1,"group_by":"a","with_lookup":"other"}'],
  [`${POINTS}/query/groups`, '{"query":1,"group_by":"a","with_lookup":{"collection":"other"}}'],
  [`${POINTS}/search/groups`, '{"vector":[1],"group_by":"a","with_lookup":"other","limit":1,"group_size":1}'],
  [`${POINTS}/recommend`, `{"positive":[1],${lookup}}`],
  [`${POINTS}/recommend/batch`, `{"searches":[{"positive":[1],${lookup}}]}`],
  [`${POINTS}/recommend/groups`, `{"positive":[1],"group_by":"a",${lookup}}`],
  [`${POINTS}/discover`, `{"target":1,${lookup}}`],
  [`${POINTS}/discover/batch`, `{"searches":[{"target":1,${lookup}}]}`],
];

test('B1: another collection named in a body is refused, in every form', async (t) => {
  for (const [target, body] of FORBIDDEN) {
    t.match(await say(arena, post(target, CREDENTIALS.reader, body)), { statuses: [403] }, `${target} ${body}`);
  }
  t.same(arena.asked(), [], 'I1');
  for (const [target, body] of FORBIDDEN.slice(0, 6)) {
    await say(
      arena,
      post(target, CREDENTIALS.reader, body.replaceAll('\\u006fther', 'mine').replaceAll('other', 'mine')),
    );
    t.equal(arena.asked().at(-1), `POST ${target}`, 'its own may be named');
  }
  const client = await framesTo(arena, 'grpc');
  // QueryPoints: collection_name 1, prefetch 2 { lookup_from 8 }, lookup_from 14 { collection_name 1 }
  const named = (field: number, inner: Buffer) => Buffer.concat([Buffer.of((field << 3) | 2, inner.length), inner]);
  const query = Buffer.concat([naming('mine'), named(14, naming('other'))]);
  const fields = grpcFields('/qdrant.Points/Query', [['api-key', CREDENTIALS.reader]]);
  t.equal(await request(client, 1, fields, query), 'grpc 7', 'lookup_from over gRPC');
  const prefetch = Buffer.concat([naming('mine'), named(2, named(8, naming('other')))]);
  t.match(await request(client, 3, fields, prefetch), /^grpc (3|7)$/, 'a prefetch over gRPC');
  client.close();
});

test('B2: no content type, and no coding, keeps a body from being inspected', async (t) => {
  const body = `{"query":1,${lookup}}`;
  const types = [
    '',
    'text/plain',
    'application/json; charset=utf-16',
    ' application/json',
    'application/json ',
    'application/x',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded',
    'application/json;',
    '\tapplication/json',
    ';',
  ];
  for (const type of types) {
    const bytes = post(`${POINTS}/query`, CREDENTIALS.reader, body, [`content-type:${type}`]);
    t.match(await say(arena, bytes), { statuses: [403] }, `\`${type}\``);
  }
  const zipped = gzipSync(body).toString('latin1');
  const coded = (coding: string, content: string) =>
    `${head('POST', `${POINTS}/query`, CREDENTIALS.reader, ['connection: close', `content-length: ${content.length}`, `content-encoding: ${coding}`])}\r\n${content}`;
  t.match(await say(arena, coded('gzip', zipped)), { statuses: [403] }, 'gzip');
  t.match(await say(arena, coded('GZIP', zipped)), { statuses: [403] }, 'GZIP');
  for (const coding of ['identity', 'x', 'gzip, gzip', 'foo, gzip', 'x-gzip']) {
    for (const content of [body, zipped]) {
      const [status] = (await say(arena, coded(coding, content))).statuses;
      t.ok([400, 403, 415].includes(status ?? 0), `${coding}: ${status}`);
    }
  }
  t.same(arena.asked(), [], 'I1');
});

test('B5: bytes that only upstream can weigh go up unchanged, and odd ones do not stall the process', async (t) => {
  const exact =
    '{"points":[18446744073709551615,1.0,9007199254740993,-0,1e400],"x":"\\ud800","y":{"a":1,"a":2},"__proto__":{"z":1}}';
  for (const credential of [KEYS.admin, CREDENTIALS.writer])
    await say(arena, post(`${POINTS}/delete`, credential, exact));
  t.same(
    arena.upstream.recorder.rest.map(({ body }) => body.toString()),
    [exact, exact],
    'I2: to the byte',
  );
  const keys = Array.from({ length: 200_000 }, (_, index) => `"${index * 4096}":1`).join();
  const bodies = [
    `{"query":1,"lookup_from":{"collection":"mine"},"a":{${keys}}}`,
    `{"lookup_from":1,"a":${'['.repeat(63)}${']'.repeat(63)}}`,
  ];
  const quiet = (await legitimate(arena, 60)).ms;
  for (const body of bodies) {
    const asked = say(arena, post(`${POINTS}/query`, CREDENTIALS.reader, body));
    const during = await legitimate(arena, asked);
    t.ok((await asked).statuses.length === 1);
    const longer = timesLonger(during.ms, quiet);
    t.ok(longer < 20, `beside a body of ${body.length >> 10} KiB others wait ${longer.toFixed(1)} times as long`);
  }
});

/** A request whose body is poured out as fast as it is taken; its status, or 0. */
async function pour(
  { gateway }: Arena,
  lines: readonly string[],
  body: () => Iterable<string | Buffer>,
): Promise<number> {
  const socket = await openTls(gateway.rest.port, { ca: gateway.ca, ALPNProtocols: ['http/1.1'] });
  let text = '';
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined).on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.write(`${head('POST', `${POINTS}/query`, CREDENTIALS.reader, ['connection: close', ...lines])}\r\n`);
  for (const part of body()) {
    if (socket.destroyed) break;
    if (!socket.write(part)) await Promise.race([closed, new Promise((resolve) => socket.once('drain', resolve))]);
  }
  await closed;
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
}

const MIB = 1 << 20;
/** Bodies at once. */
const CROWD = shortened(20, 8);
const SOME = shortened(8, 5);
const OPENING = '{"lookup_from":{"collection":"mine"},"a":"';
const block = Buffer.alloc(65_536, 'x');

/** JSON of so many bytes. */
function* json(bytes: number): Generator<string | Buffer> {
  yield OPENING;
  for (let left = bytes - OPENING.length - 2; left > 0; left -= block.length) yield block.subarray(0, left);
  yield '"}';
}

function* chunked(parts: Iterable<string | Buffer>): Generator<string | Buffer> {
  for (const part of parts) {
    yield `${part.length.toString(16)}\r\n`;
    yield part;
    yield '\r\n';
  }
  yield '0\r\n\r\n';
}

test(`B7: too large bodies are refused early, and ${CROWD} at once cost less than 100 MB`, async (t) => {
  const query = (lines: readonly string[]) => `${head('POST', `${POINTS}/query`, CREDENTIALS.reader, lines)}\r\n`;
  for (const [length, closes] of [
    // The rest of it would be thrown away, and the connection go on.
    [33 << 20, false],
    [5_000_000_000, true],
  ] as const) {
    const enough = (text: string) => !closes && text.endsWith('}');
    const answer = await say(arena, query([`content-length: ${length}`]), { withinMs: PATIENCE_MS, enough });
    t.match(answer, { closed: closes }, `${length}`);
    t.ok([400, 413].includes(answer.statuses[0] ?? 0), `${length}: ${answer.statuses} before a byte of it`);
  }
  const zipped = gzipSync(Buffer.concat([...json(31 * MIB)].map((part) => Buffer.from(part))));
  // Twenty of one shape and eight of the others, in the short form eight and five: 155 MiB, where all may cost 100.
  const shapes: readonly Shape[] = [
    ['33 MiB, chunked', SOME, ['transfer-encoding: chunked'], () => chunked(json(33 * MIB)), 413],
    ['31 MiB, chunked', SOME, ['transfer-encoding: chunked'], () => chunked(json(31 * MIB)), 200],
    ['31 MiB', CROWD, [`content-length: ${31 * MIB}`], () => json(31 * MIB), 200],
    ['31 MiB in gzip', SOME, [`content-length: ${zipped.length}`, 'content-encoding: gzip'], () => [zipped], 200],
  ];
  // With the limits of a gateway that is not told otherwise.
  const roomy = await startArena({}, { onRest });
  for (const shape of shapes) {
    const [name, count] = shape;
    // Memory of a process depends on when garbage is collected: a gateway that holds bodies goes over in each of three.
    const tries = [await growthOf(t, roomy, shape)];
    while (tries.length < 3 && Math.min(...tries) >= 100) {
      tries.push(await growthOf(t, await startArena({}, { onRest }), shape));
    }
    t.ok(Math.min(...tries) < 100, `${count} of ${name} at once: +${tries} MB`);
  }
});

/** Name, bodies at once, header lines, the body, expected status. */
type Shape = readonly [string, number, readonly string[], () => Iterable<string | Buffer>, number];

/** What so many bodies at once add to the memory of a gateway, in MiB. */
async function growthOf(t: Test, place: Arena, [name, count, lines, body, status]: Shape): Promise<number> {
  // What they cost one after the other (a thread, memory the runtime keeps) is not what many at once cost.
  const fresh = usageOf(place).megabytes;
  for (let one = 0; one < 2; one += 1) t.equal(await pour(place, lines, body), status, name);
  const before = usageOf(place);
  const statuses: number[] = [];
  const grown = await growthDuring(place.gateway, async () => {
    statuses.push(...(await Promise.all(Array.from({ length: count }, () => pour(place, lines, body)))));
  });
  t.strictSame(statuses, Array(count).fill(status), `${count} of ${name}`);
  t.comment(`B7: ${count} of ${name}: +${grown} MB; two one after the other before: +${before.megabytes - fresh} MB`);
  place.upstream.recorder.clear();
  await settles(t, place, before, 60);
  return grown;
}

test('B7: a body that stops or trickles is given up in time, and keeps small ones waiting at no time', async (t) => {
  const query = (lines: readonly string[]) => `${head('POST', `${POINTS}/query`, CREDENTIALS.reader, lines)}\r\n`;
  const slow = await say(arena, `${query(['content-length: 100'])}{`, { withinMs: PATIENCE_MS });
  t.ok(slow.closed, `a body that stops is given up after ${Math.round(slow.ms)} ms`);
  // Never still for as long as the idle limit of a second, on the relay and on the lane.
  for (const [lines, byte] of [
    [['content-length: 100000'], 'x'],
    [['content-length: 1000000'], 'x'],
    [['transfer-encoding: chunked'], '1\r\nx\r\n'],
  ] as const) {
    const socket = await openTls(arena.gateway.rest.port, { ca: arena.gateway.ca, ALPNProtocols: ['http/1.1'] });
    const took = stopwatch();
    let text = '';
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined).on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.write(query(lines));
    const trickle = setInterval(() => socket.write(byte), 200);
    const limit = setTimeout(() => socket.destroy(), PATIENCE_MS);
    await closed;
    clearInterval(trickle);
    clearTimeout(limit);
    t.match(text, /^HTTP\/1\.1 408 /, `${lines}: five bytes a second, ${took()}`);
  }
  t.same(arena.asked(), [], 'I1');
});

test('B7: large bodies that hold what there is keep a small one waiting at no time', async (t) => {
  const small = `{"query":1,"a":"${'x'.repeat(100_000)}"}`;
  const asked = async () => await say(arena, post(`${POINTS}/query`, CREDENTIALS.reader, small));
  const quiet: number[] = [];
  for (let round = 0; round < 10; round += 1) quiet.push((await asked()).ms);
  const held = Array.from({ length: 6 }, () =>
    pour(arena, [`content-length: ${31 * MIB}`], function* () {
      yield* [...json(20 * MIB)].slice(0, -1);
    }),
  );
  const during: number[] = [];
  for (let round = 0; round < 10; round += 1) {
    const answer = await asked();
    t.match(answer.statuses, [200]);
    during.push(answer.ms);
  }
  const longer = timesLonger(during, quiet);
  t.ok(longer < 20, `small ones wait ${longer.toFixed(1)} times as long as in quiet`);
  const statuses = await Promise.all(held);
  t.notOk(
    statuses.some((status) => status !== 408 && status !== 503),
    `all of those that stop are given up: ${statuses}`,
  );
});

test('B8: an upload without rights is refused from its head', async (t) => {
  for (const credential of [undefined, CREDENTIALS.reader, CREDENTIALS.writer]) {
    const lines = ['content-length: 1000000000', 'content-type: multipart/form-data; boundary=x'];
    const answer = await say(
      arena,
      `${head('POST', '/collections/mine/snapshots/upload', credential, lines)}\r\n--x\r\n`,
    );
    t.match(answer, { statuses: [credential === undefined ? 401 : 403], closed: true });
  }
  t.same(arena.asked(), [], 'I1');
});

test('B9: an upload of 64 MiB by the admin arrives with the same hash, in little memory', async (t) => {
  const before = usageOf(arena).megabytes;
  const part = Buffer.alloc(1 << 20, 'q');
  const hash = createHash('sha256');
  const socket = await openTls(arena.gateway.rest.port, { ca: arena.gateway.ca });
  const answered = new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString())).once('close', () => resolve(text));
  });
  socket.write(
    `${head('POST', '/collections/mine/snapshots/upload', KEYS.admin, ['connection: close', `content-length: ${64 << 20}`])}\r\n`,
  );
  let highest = 0;
  for (let sent = 0; sent < 64; sent += 1) {
    hash.update(part);
    if (!socket.write(part)) await new Promise((resolve) => socket.once('drain', resolve));
    highest = Math.max(highest, usageOf(arena).megabytes);
  }
  t.match(await answered, new RegExp(hash.digest('hex')));
  t.ok(highest - before < 80, `+${highest - before} MB`);
});

test('B10: a filtered answer shows what is listed and nothing else, however it comes', async (t) => {
  for (const query of ['', '?gzip']) {
    // Upstream codes its answer to the second one although the client takes none.
    const lines = ['accept-encoding: identity', 'range: bytes=0-10', 'if-none-match: "x"'];
    const { text, statuses } = await say(arena, only('GET', `/collections${query}`, CREDENTIALS.reader, lines));
    if (query === '?gzip' && statuses[0] !== 200)
      t.ok((statuses[0] ?? 0) >= 400, 'a coding it did not ask for may be refused');
    else t.match({ statuses, listed: [...text.matchAll(/"mine"/g)].length }, { statuses: [200], listed: MANY / 100 });
    t.notMatch(text, /secret|etag/i, `I1: ${query}`);
  }
  const odd = await say(arena, only('GET', '/collections?odd', CREDENTIALS.reader));
  t.match(odd, { statuses: [502] }, 'no list, no answer');
  t.notMatch(odd.text, /secret/);
});

test('B13: what is not in the tables is for full manage only', async (t) => {
  const targets = ['/collections/mine/new', '/debugger', '/profiler', '/internal/x', '/collections/mine/cluster/x'];
  for (const target of targets) {
    t.match(await say(arena, only('GET', target)), { statuses: [401] }, target);
    for (const credential of [CREDENTIALS.reader, CREDENTIALS.writer, CREDENTIALS.readOnly, CREDENTIALS.nothing]) {
      const { statuses } = await say(arena, only('GET', target, credential));
      t.ok([403, 404].includes(statuses[0] ?? 0), `${target}: ${statuses}`);
    }
  }
  const client = await framesTo(arena, 'grpc');
  for (const [index, path] of [
    '/qdrant.PointsInternal/Upsert',
    '/qdrant.Raft/Send',
    '/qdrant.Points/Future',
  ].entries()) {
    const fields = grpcFields(path, [['api-key', CREDENTIALS.readOnly]]);
    t.equal(await request(client, index * 2 + 1, fields, Buffer.alloc(0)), 'grpc 12', path);
  }
  client.close();
  t.same(arena.asked(), [], 'I1');
});
