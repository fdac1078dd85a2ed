import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { CLIENT_PREFACE, ErrorCode, FrameType, SettingId } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import {
  writeData,
  writeFrameHeader,
  writeHeaders,
  writePing,
  writeRstStream,
  writeSettings,
  writeWindowUpdate,
} from '../../src/http2/write-frames.ts';
import { framed, H2Client, naming } from '../support/clients/h2-client.ts';
import { openPlain, openTls, talk } from '../support/clients/sockets.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { KEYS } from '../support/gateway.ts';
import { shortened } from '../support/generators/runs.ts';
import { CREDENTIALS, casesOf, legitimate, percentile, settles, startArena, usageOf } from '../support/invariants.ts';
import { legitimateBeside } from '../support/invariants-beside.ts';
import { framesTo, grpcFields, outcome, request, restFields } from '../support/invariants-http2.ts';
import { flood } from '../support/load/flood.ts';
import { timesLonger } from '../support/reference.ts';
import { until } from '../support/until.ts';

const LIST = '/qdrant.Collections/List';
const INFO = '/qdrant.Collections/Get';
const COUNT = '/qdrant.Points/Count';
const UPSERT = '/qdrant.Points/Upsert';
const EMPTY = Buffer.alloc(0);
const admin: HeaderField = ['api-key', KEYS.admin];
const reader: HeaderField = ['api-key', CREDENTIALS.reader];
const writer: HeaderField = ['api-key', CREDENTIALS.writer];

/** Streams that upstream holds open, so that a test may see them end. */
const held: ServerHttp2Stream[] = [];
const details = Buffer.alloc(4096, 'd').toString('base64');

/** Count is never answered; Delete is refused with odd metadata; ClearPayload ends its connection with an error. */
function onGrpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  const answer = { ':status': 200, 'content-type': 'application/grpc' };
  switch (headers[':path']) {
    case COUNT:
      held.push(stream);
      stream.resume();
      return true;
    case '/qdrant.Points/Facet':
      stream.resume().once('end', () => {
        stream.respond({ ...answer, 'grpc-status': '0' }, { endStream: true });
      });
      return true;
    case '/qdrant.Points/Delete':
      stream.resume();
      stream.respond(
        {
          ...answer,
          'grpc-status': '9',
          'grpc-message': 'caf%C3%A9 %25',
          'x-bin': 'AAECAw',
          'grpc-status-details-bin': details,
        },
        { endStream: true },
      );
      return true;
    case '/qdrant.Points/ClearPayload':
      stream.session?.goaway(ErrorCode.INTERNAL_ERROR);
      stream.session?.destroy();
      return true;
    case '/qdrant.Points/SetPayload':
      stream.session?.settings({ maxConcurrentStreams: 1, initialWindowSize: 1 << 16 });
      return false;
    default:
      return false;
  }
}

// The floods of this file come one after the other, from the address that everything else comes from, too.
const arena = await startArena({}, { onGrpc });
const flooding = await startArena();
const test = casesOf(arena);
const REFUSED = /^(reset|goaway|closed|status (4|501))|^grpc (3|12|13|16)$/;

/** Fields that RFC 9113 section 8.3 does not allow, made from good ones. */
const MALFORMED: readonly (readonly [string, (good: readonly HeaderField[]) => readonly HeaderField[]])[] = [
  [
    'a pseudo-header behind a header',
    (good) => [...good.filter(([name]) => name !== ':path'), ...good.filter(([name]) => name === ':path')],
  ],
  ['two paths', (good) => [[':path', LIST], ...good]],
  ['two methods', (good) => [[':method', 'GET'], ...good]],
  ['two schemes', (good) => [[':scheme', 'http'], ...good]],
  ['two authorities', (good) => [[':authority', 'evil.test'], ...good]],
  ['an unknown pseudo-header', (good) => [[':protocol', 'websocket'], ...good]],
  ['a pseudo-header of an answer', (good) => [[':status', '200'], ...good]],
  ['no method', (good) => good.filter(([name]) => name !== ':method')],
  ['no scheme', (good) => good.filter(([name]) => name !== ':scheme')],
  ['no path', (good) => good.filter(([name]) => name !== ':path')],
  ['an empty path', (good) => good.map(([name, value]) => [name, name === ':path' ? '' : value])],
  ['a path without slash', (good) => good.map(([name, value]) => [name, name === ':path' ? value.slice(1) : value])],
  [
    'an absolute path',
    (good) => good.map(([name, value]) => [name, name === ':path' ? `https://evil.test${value}` : value]),
  ],
  ['a blank in the path', (good) => good.map(([name, value]) => [name, name === ':path' ? `${value} ` : value])],
  ['a capital in a name', (good) => [...good, ['X-A', 'b']]],
  ['the credential in capitals', (good) => [...good.filter(([name]) => name !== 'api-key'), ['API-KEY', KEYS.admin]]],
  ['connection', (good) => [...good, ['connection', 'close']]],
  ['transfer-encoding', (good) => [...good, ['transfer-encoding', 'chunked']]],
  ['te: gzip', (good) => [...good.filter(([name]) => name !== 'te'), ['te', 'gzip']]],
  ['a line end in a value', (good) => [...good, ['x-a', 'b\r\napi-key: x']]],
  ['a NUL in a value', (good) => [...good, ['x-a', 'b\0']]],
  ['a colon in a name', (good) => [...good, ['x:a', 'b']]],
  ['an empty name', (good) => [...good, ['', 'b']]],
  ['CONNECT', (good) => [[':method', 'CONNECT'], ...good.filter(([name]) => name !== ':method')]],
];

test('G2: header blocks that HTTP/2 does not allow are refused and nothing goes upstream', async (t) => {
  for (const [name, change] of MALFORMED) {
    for (const protocol of ['rest', 'grpc'] as const) {
      arena.upstream.recorder.clear();
      const good = protocol === 'rest' ? restFields('/collections', [admin]) : grpcFields(LIST, [admin]);
      const client = await framesTo(arena, protocol);
      const seen = await request(client, 1, change(good), protocol === 'grpc' ? EMPTY : undefined);
      t.match(seen, REFUSED, `${name}, ${protocol}`);
      t.same(arena.asked(), [], `I1: ${name}, ${protocol}`);
      client.close();
    }
  }
});

test('G2: an unknown method or spelling is refused, another host is only a word', async (t) => {
  const client = await framesTo(arena, 'grpc');
  const paths = [
    '/qdrant.Collections/list',
    '//qdrant.Collections/List',
    `${LIST}/`,
    '/qdrant.PointsInternal/Upsert',
    '/qdrant.New/Call',
  ];
  for (const [index, path] of paths.entries()) {
    t.match(await request(client, 4 * index + 1, grpcFields(path, [reader]), EMPTY), /^grpc 12$/, path);
    t.match(await request(client, 4 * index + 3, grpcFields(path), EMPTY), /^grpc 16$/, `${path} without a key`);
  }
  t.same(arena.asked(), [], 'I1');
  t.match(await request(client, 101, grpcFields(`${INFO}?x#y`, [reader]), naming('other')), 'grpc 7', 'a query');
  const fields = grpcFields(LIST, [admin, ['host', 'evil.test']]).map(
    ([name, value]): HeaderField => [name, name === ':authority' ? 'other.test' : value],
  );
  t.equal(await request(client, 103, fields, EMPTY), 'grpc 0');
  t.notMatch(arena.upstream.recorder.grpc[0]?.metadata.join('|'), /evil\.test/);
  client.close();
});

test('G5: rapid reset ends the connection, upstream calls stay bounded and others are served', async (t) => {
  const quiet = percentile((await legitimate(arena, 100)).ms, 0.99);
  for (const protocol of ['rest', 'grpc'] as const) {
    arena.upstream.recorder.clear();
    const client = await framesTo(arena, protocol);
    const fields = protocol === 'rest' ? restFields('/collections/legit', [admin]) : grpcFields(COUNT, [admin]);
    const block = encodeHeaders(fields);
    const flood = (async () => {
      for (let from = 0; from < 5000 && !client.closed; from += 250) {
        const burst = Array.from({ length: 250 }, (_, index) => {
          const id = (from + index) * 2 + 1;
          return Buffer.concat([writeHeaders(id, block, protocol === 'rest'), writeRstStream(id, ErrorCode.CANCEL)]);
        });
        client.send(...burst);
        await new Promise((resolve) => setImmediate(resolve));
      }
      return await outcome(client, -1);
    })();
    const during = await legitimate(arena, flood);
    t.match(await flood, /^(goaway|closed)/, protocol);
    const calls = arena.asked().filter((asked) => !asked.includes('/exists')).length;
    t.ok(calls <= 2500, `${protocol}: ${calls} upstream calls of 5000`);
    t.equal(during.wrong, 0, `${protocol}: others are served`);
    const ratio = percentile(during.ms, 0.99) / quiet;
    t.comment(
      `G5 ${protocol}: ${calls} calls upstream, p99 ${percentile(during.ms, 0.99).toFixed(1)} ms, ${ratio.toFixed(1)} x quiet`,
    );
    client.close();
  }
  await until(() => held.every((stream) => stream.destroyed), 'upstream calls are cancelled');
  held.length = 0;
});

casesOf(flooding)('G5: a flood that reconnects is bounded upstream, and others go on', async (t) => {
  if (process.platform !== 'linux') {
    t.pass('the flood needs a second loopback address');
    return;
  }
  for (const protocol of ['grpc', 'rest'] as const) {
    const seconds = shortened(3, 1);
    const fields = protocol === 'rest' ? restFields('/collections/legit', [admin]) : grpcFields(LIST, [admin]);
    const flooded = await flood({
      port: flooding.gateway[protocol].port,
      caFile: flooding.gateway.caFile,
      fields,
      ends: protocol === 'rest',
      seconds,
      perSecond: 0,
      connections: 4,
      apart: true,
    });
    const calls = flooding.asked().length;
    const { connections, refused, streams } = flooded;
    t.comment(
      `G5 ${protocol}: ${connections} connections, ${refused} refused, ${streams} streams, ${calls} calls upstream`,
    );
    // Bounded by what a connection and a caller may abandon, not by what the flood sends.
    t.ok(calls < 4 * 500 + seconds * 500, `${calls} calls upstream`);
    t.ok(streams > 500, 'there was a flood');
    t.equal((await legitimate(flooding, 20)).wrong, 0, 'another address is served at once');
  }
});

const times = (count: number, frame: Buffer): Buffer => Buffer.concat(Array.from({ length: count }, () => frame));
const rawFrame = (type: number, flags: number, streamId: number, payload: Buffer): Buffer => {
  const frame = Buffer.alloc(9 + payload.length);
  writeFrameHeader(frame, 0, payload.length, type, flags, streamId);
  payload.copy(frame, 9);
  return frame;
};
const PRIORITY = Buffer.of(0, 0, 0, 0, 16);
/** An entry of 4 000 bytes for the dynamic table, then thousands of references to it. */
const bomb = Buffer.concat([
  Buffer.of(0x40, 1, 0x78, 0x7f, 0xa1, 0x1e),
  Buffer.alloc(4000, 'y'),
  Buffer.alloc(12_000, 0xbe),
]);

const FLOODS: readonly (readonly [name: string, bytes: (open: Buffer) => Buffer])[] = [
  ['SETTINGS', () => times(20_000, writeSettings([[SettingId.INITIAL_WINDOW_SIZE, 65_535]]))],
  [
    'SETTINGS of many entries',
    () => times(200, writeSettings(Array.from({ length: 2000 }, () => [SettingId.HEADER_TABLE_SIZE, 4096]))),
  ],
  ['PING', () => times(20_000, writePing(Buffer.alloc(8), false))],
  ['PRIORITY', () => times(20_000, rawFrame(FrameType.PRIORITY, 0, 1, PRIORITY))],
  ['WINDOW_UPDATE', () => times(20_000, writeWindowUpdate(0, 1))],
  ['empty DATA', (open) => Buffer.concat([open, times(20_000, writeData(1, EMPTY, false))])],
  [
    'CONTINUATION without an end',
    () =>
      Buffer.concat([
        rawFrame(FrameType.HEADERS, 0, 1, EMPTY),
        times(200, rawFrame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(16_384, 0x82))),
      ]),
  ],
  [
    'empty CONTINUATION',
    () =>
      Buffer.concat([
        rawFrame(FrameType.HEADERS, 0, 1, EMPTY),
        times(20_000, rawFrame(FrameType.CONTINUATION, 0, 1, EMPTY)),
      ]),
  ],
  [
    'empty HEADERS',
    () =>
      Buffer.concat(Array.from({ length: 5000 }, (_, index) => rawFrame(FrameType.HEADERS, 5, index * 2 + 1, EMPTY))),
  ],
  ['unknown frames', () => times(20_000, rawFrame(0xbe, 0, 0, EMPTY))],
  [
    'a header table that grows and shrinks',
    () =>
      times(
        5000,
        writeSettings([
          [SettingId.HEADER_TABLE_SIZE, 0],
          [SettingId.HEADER_TABLE_SIZE, 65_536],
        ]),
      ),
  ],
  [
    'a header bomb',
    () => Buffer.concat(Array.from({ length: 50 }, (_, index) => rawFrame(FrameType.HEADERS, 5, index * 2 + 1, bomb))),
  ],
];

test('G5: resets that the gateway is made to send are counted like those of the client', async (t) => {
  for (const protocol of ['rest', 'grpc'] as const) {
    arena.upstream.recorder.clear();
    const client = await framesTo(arena, protocol);
    const block = encodeHeaders(
      protocol === 'rest' ? restFields('/collections/legit', [admin]) : grpcFields(COUNT, [admin]),
    );
    for (let from = 0; from < 5000 && !client.closed; from += 250) {
      const burst = Array.from({ length: 250 }, (_, index) => {
        const id = (from + index) * 2 + 1;
        return Buffer.concat([
          writeHeaders(id, block, protocol === 'rest'),
          rawFrame(FrameType.WINDOW_UPDATE, 0, id, Buffer.alloc(4)),
        ]);
      });
      client.send(...burst);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const ended = await Promise.race([
      outcome(client, -1).catch(() => 'open'),
      legitimate(arena, 150).then(() => 'open'),
    ]);
    const calls = arena.asked().filter((asked) => !asked.includes('/exists')).length;
    t.match(ended, /^(goaway|closed)/, `${protocol}: ${ended}, ${calls} calls upstream`);
    if (protocol === 'grpc') t.equal(ended, 'goaway 11', 'by the gateway, not by upstream');
    t.ok(calls <= 2500, `${protocol}: ${calls} upstream calls of 5000`);
    client.close();
  }
  await until(() => held.every((stream) => stream.destroyed), 'upstream calls are cancelled');
  held.length = 0;
});

/** What the relay takes without ending the connection: it answers none of it. */
const CHEAP = ['unknown frames', 'WINDOW_UPDATE', 'SETTINGS of many entries'];

test('G7: floods of frames end the connection or cost nothing, and memory stays', async (t) => {
  for (const protocol of ['grpc', 'rest'] as const) {
    for (const [name, bytes] of FLOODS) {
      const before = usageOf(arena).megabytes;
      const client = await framesTo(arena, protocol);
      const open = writeHeaders(
        1,
        encodeHeaders(protocol === 'rest' ? restFields('/collections', [reader], 'POST') : grpcFields(INFO, [reader])),
        false,
      );
      client.send(bytes(open));
      const ended = await Promise.race([
        outcome(client, -1).catch(() => 'open'),
        legitimate(arena, 60).then(({ ms, wrong }) => `${wrong} wrong, p99 ${Math.round(percentile(ms, 0.99))} ms`),
      ]);
      const grown = usageOf(arena).megabytes - before;
      t.ok(grown < 50, `${name}, ${protocol}: ${ended}, +${grown} MB`);
      if (protocol === 'grpc' && !CHEAP.includes(name)) t.match(ended, /^(goaway|closed)/, `${name}: ${ended}`);
      client.close();
    }
  }
  t.same(
    arena.asked().filter((asked) => !asked.includes('/exists')),
    [],
    'I1',
  );
});

test('G9: garbage after the handshake, odd server names and sockets that are reset end that connection only', async (t) => {
  const before = usageOf(arena);
  const endings = [
    Buffer.alloc(100_000, 0xff),
    Buffer.concat([CLIENT_PREFACE, rawFrame(FrameType.HEADERS, 5, 1, Buffer.alloc(64, 0xff))]),
  ];
  for (const port of [arena.gateway.rest.port, arena.gateway.grpc.port]) {
    for (const bytes of endings) {
      const socket = await openTls(port, { ca: arena.gateway.ca, ALPNProtocols: ['h2'] });
      t.ok((await talk(socket, bytes, 3000)).closed);
    }
    for (let round = 0; round < 20; round += 1) {
      const plain = await openPlain(port);
      const socket = await openTls(port, { ca: arena.gateway.ca, ALPNProtocols: ['h2'], socket: plain });
      socket.on('error', () => undefined);
      socket.write(
        Buffer.concat([CLIENT_PREFACE, writeSettings([]), rawFrame(FrameType.HEADERS, 5, 1, Buffer.alloc(64, 0xff))]),
      );
      plain.resetAndDestroy();
      const early = await openPlain(port);
      early.on('error', () => undefined);
      early.write(Buffer.of(0x16, 3, 1, 2, 0));
      early.resetAndDestroy();
    }
    for (const servername of ['x'.repeat(250), 'evil.test', 'LOCALHOST', '\u00e9.test', 'a..b', '-']) {
      const tried = openTls(port, { ca: arena.gateway.ca, servername, checkServerIdentity: () => undefined });
      await tried.then(
        (socket) => socket.destroy(),
        () => undefined,
      );
    }
  }
  await settles(t, arena, before);
});

/** DATA of a unary call by who lists `mine`, in which the name stands, and what comes of it. */
const FRAMINGS: readonly (readonly [
  name: string,
  data: readonly Buffer[],
  code: RegExp,
  extra?: readonly HeaderField[],
])[] = [
  ['a whole message', [framed(naming('mine'))], /^grpc 5$/],
  ['one byte at a time', [...framed(naming('mine'))].map((byte) => Buffer.of(byte)), /^grpc 5$/],
  ['one byte at a time, not listed', [...framed(naming('other'))].map((byte) => Buffer.of(byte)), /^grpc 7$/],
  ['a length that is too long', [Buffer.of(0, 0, 0, 0, 99), naming('mine')], /^grpc (3|13)$/],
  ['a length that is too short', [Buffer.of(0, 0, 0, 0, 3), naming('mine')], /^grpc (3|13)$/],
  ['a length of 4 GiB', [Buffer.of(0, 255, 255, 255, 255), naming('mine')], /^grpc (3|8|11|13)$/],
  ['a truncated prefix', [Buffer.of(0, 0, 0)], /^grpc (3|13)$/],
  ['no message', [EMPTY], /^grpc (3|13)$/],
  ['flag 2', [framed(naming('mine'), 2)], /^grpc (3|13)$/],
  ['flag 255', [framed(naming('mine'), 255)], /^grpc (3|13)$/],
  ['flag 1 without a coding', [framed(naming('mine'), 1)], /^grpc (3|13)$/],
  ['two messages, the second not listed', [framed(naming('mine')), framed(naming('other'))], /^grpc (7|13)$/],
  ['two messages, both listed', [framed(naming('mine')), framed(naming('mine'))], /^grpc 13$/],
  ['a name twice, the second not listed', [framed(Buffer.concat([naming('mine'), naming('other')]))], /^grpc (3|7)$/],
  ['a name twice, the first not listed', [framed(Buffer.concat([naming('other'), naming('mine')]))], /^grpc (3|5|7)$/],
  ['an open group', [framed(Buffer.concat([naming('mine'), Buffer.of(0x7b)]))], /^grpc (3|13)$/],
];

async function called(data: readonly Buffer[], extra: readonly HeaderField[] = [], path = INFO): Promise<string> {
  const client = await framesTo(arena, 'grpc');
  client.send(writeHeaders(1, encodeHeaders(grpcFields(path, [reader, ...extra])), false));
  client.send(...data.map((part, index) => writeData(1, part, index === data.length - 1)));
  const code = await outcome(client, 1);
  client.close();
  return code;
}

/** Invariant I1: one message of each call, and the last name in it is the one upstream acts on. */
function firstsAreListed(t: Tap): void {
  const calls = arena.upstream.recorder.grpc.filter(({ path }) => path === INFO);
  const firsts = calls.flatMap(({ messages: [first] }) => (first ? [first.toString('latin1', 0, 64)] : []));
  t.same(
    firsts.filter((bytes) => bytes.lastIndexOf('mine') < bytes.lastIndexOf('other')),
    [],
    'I1',
  );
  const more = calls.filter(({ messages }) => messages.length > 1);
  t.same(more, [], 'one message');
}

type Tap = Parameters<Parameters<typeof test>[1]>[0];

test('G11: messages framed wrongly are refused, never forwarded unjudged', async (t) => {
  for (const [name, data, code] of FRAMINGS) t.match(await called(data), code, name);
  firstsAreListed(t);
});

test('G13: compressed messages are judged by what is in them, and bounded', async (t) => {
  const gzip: readonly HeaderField[] = [['grpc-encoding', 'gzip']];
  const named = (name: string) => gzipSync(naming(name));
  const huge = gzipSync(
    Buffer.concat([naming('mine'), Buffer.from([0xfa, 0x3e, 0x80, 0x80, 0x80, 0x20]), Buffer.alloc(64 << 20)]),
  );
  const before = usageOf(arena).megabytes;
  t.match(await called([framed(named('mine'), 1)], gzip), /^grpc 5$/, 'listed');
  t.match(await called([framed(named('other'), 1)], gzip), /^grpc 7$/, 'not listed');
  t.match(
    await called([framed(Buffer.concat([named('mine'), named('other')]), 1)], gzip),
    /^grpc (3|13)$/,
    'two members',
  );
  t.match(
    await called([framed(Buffer.concat([named('mine'), Buffer.from('tail')]), 1)], gzip),
    /^grpc (3|13)$/,
    'bytes behind',
  );
  t.match(await called([framed(named('mine').subarray(0, 20), 1)], gzip), /^grpc (3|13)$/, 'cut');
  t.match(await called([framed(Buffer.from('no gzip'), 1)], gzip), /^grpc (3|13)$/, 'no gzip');
  t.match(await called([framed(naming('other'), 0)], gzip), /^grpc 7$/, 'named, but not used');
  t.match(
    await called([framed(naming('mine'), 0), framed(named('other'), 1)], gzip),
    /^grpc (7|13)$/,
    'second message',
  );
  for (const coding of ['deflate', 'zstd', 'x', 'GZIP', 'gzip, deflate']) {
    t.match(await called([framed(named('mine'), 1)], [['grpc-encoding', coding]]), /^grpc 12$/, coding);
  }
  const parts = Array.from({ length: Math.ceil((huge.length + 5) / 16_384) }, (_, at) =>
    framed(huge, 1).subarray(at * 16_384, (at + 1) * 16_384),
  );
  t.match(await called(parts, gzip), /^grpc (3|8|11|13)$/, `64 MiB in ${huge.length >> 10} KiB`);
  const grown = usageOf(arena).megabytes - before;
  t.ok(grown < 150, `+${grown} MB`);
  firstsAreListed(t);
});

test('G13: others go on beside 32 MiB behind a few KiB, and beside many fields', async (t) => {
  const gzip: HeaderField = ['grpc-encoding', 'gzip'];
  const field = Buffer.from([0xfa, 0x3e, 0xe0, 0xff, 0xff, 0x0f]);
  const fields = Buffer.alloc(8_000_001, Buffer.from([0x98, 0x06, 0x00]));
  const bodies: readonly (readonly [string, Buffer, readonly HeaderField[]])[] = [
    [
      '32 MiB of zeroes, gzip',
      framed(gzipSync(Buffer.concat([naming('mine'), field, Buffer.alloc(33_554_400)])), 1),
      [gzip],
    ],
    ['8 MB of fields, gzip', framed(gzipSync(Buffer.concat([naming('mine'), fields])), 1), [gzip]],
    ['16 MB of fields', framed(Buffer.concat([naming('mine'), fields, fields])), []],
  ];
  const quiet = (await legitimate(arena, 200)).ms;
  t.comment(`G13 quiet: p99 ${percentile(quiet, 0.99).toFixed(1)} ms, longest ${Math.max(...quiet).toFixed(1)} ms`);
  for (const [name, body, extra] of bodies) {
    const client = await framesTo(arena, 'grpc');
    client.send(writeHeaders(1, encodeHeaders(grpcFields('/qdrant.Points/Facet', [reader, ...extra])), false));
    const work = (async () => {
      await client.stream(1, body);
      return await outcome(client, 1);
    })();
    const { ms, wrong } = await legitimateBeside(arena, work);
    t.match(await work, 'grpc 0', name);
    t.equal(wrong, 0);
    const p99 = percentile(ms, 0.99);
    const longest = Math.max(...ms);
    t.comment(`G13 ${name}: ${ms.length} others, p99 ${p99.toFixed(1)} ms, longest ${longest.toFixed(1)} ms`);
    const longer = timesLonger(ms, quiet);
    // What one step may cost is held in test/grpc/message/inspect.test.ts.
    t.ok(longer < 100, `${name}: others wait ${longer.toFixed(1)} times as long as in quiet`);
    client.close();
  }
});

/**
 * What one connection of a guarded caller can make the gateway keep, from its limits: the heads of its open calls (twice:
 * text and list), DATA that waits (it takes no more than the window, and up to four times that where it was received),
 * what is held or being inflated of each compressed message, and what waits in the two sockets.
 */
const STREAMS = 100;
const HEADER_BYTES = 2_097_152;
const WINDOW = 1 << 20;
const INFLATING = 16_384 + 65_536;
const SOCKETS = 4 * 262_144;
const WORST = 2 * HEADER_BYTES + STREAMS * INFLATING + 4 * WINDOW + SOCKETS;

test('one connection at its worst stays within what its limits add up to', async (t) => {
  const noise = gzipSync(Buffer.concat([naming('mine'), randomBytes(40_000)]));
  const [started] = [framed(noise, 1)];
  const open = async (): Promise<H2Client> => {
    const client = await framesTo(arena, 'grpc');
    // A head as long as all of them may be, a message of which a part is inflated, and bytes of it one by one.
    for (let id = 1; id < 2 * STREAMS; id += 2) {
      const long = Array.from({ length: 10 }, (_, index): HeaderField => [`x-${id}-${index}`, 'v'.repeat(1900)]);
      const block = encodeHeaders(grpcFields(UPSERT, [writer, ['grpc-encoding', 'gzip'], ...long]));
      for (let at = 0; at < block.length; at += 16_384) {
        const last = at + 16_384 >= block.length;
        const type = at === 0 ? FrameType.HEADERS : FrameType.CONTINUATION;
        client.send(rawFrame(type, last ? 4 : 0, id, block.subarray(at, at + 16_384)));
      }
      client.send(...[...started.subarray(0, 640)].map((byte) => writeData(id, Buffer.of(byte), false)));
    }
    client.send(writePing(Buffer.alloc(8), false));
    await client.until((frames) =>
      frames.some(({ type, flags }) => type === FrameType.PING && flags === 1) ? true : undefined,
    );
    return client;
  };
  // Twice beforehand: what the heap grows to once is not this connection's.
  for (let round = 0; round < 2; round += 1) (await open()).close();
  const before = usageOf(arena).megabytes;
  const clients = await Promise.all(Array.from({ length: 4 }, open));
  const each = (usageOf(arena).megabytes - before) / clients.length;
  t.comment(`one connection: +${each.toFixed(1)} MB, at most ${(WORST / (1 << 20)).toFixed(1)} MB by its limits`);
  // Twice, for what is resident holds what has not been collected yet.
  t.ok(each < (2 * WORST) / (1 << 20), `+${each.toFixed(1)} MB`);
  for (const client of clients) {
    t.notOk(client.closed, 'the gateway keeps the connection');
    client.close();
  }
});

test('G15: odd time limits do no harm, and what a client gives up ends upstream', async (t) => {
  for (const limit of ['99999999H', '-1S', '1', 'x', '', '999999999999999S', '0n']) {
    const client = await framesTo(arena, 'grpc');
    t.match(
      await request(client, 1, grpcFields(LIST, [admin, ['grpc-timeout', limit]]), EMPTY),
      /^grpc (0|3|4|13)$/,
      `\`${limit}\``,
    );
    client.close();
  }
  for (const credential of [admin, reader]) {
    held.length = 0;
    const client = await framesTo(arena, 'grpc');
    client.call(1, COUNT, naming('mine'), [credential]);
    await until(() => held.length === 1, 'the call reaches upstream');
    client.send(writeRstStream(1, ErrorCode.CANCEL));
    await until(() => held[0]?.destroyed === true, 'it ends upstream');
    client.send(client.headers(3, UPSERT, [writer]), writeData(3, Buffer.of(0, 0, 0, 1, 0, 0x0a, 4), false));
    client.send(writeRstStream(3, ErrorCode.CANCEL));
    t.equal(await request(client, 5, grpcFields(LIST, [admin]), EMPTY), 'grpc 0', 'the connection goes on');
    client.close();
  }
  t.same(
    arena.upstream.recorder.grpc.filter(({ path, state }) => path === UPSERT && state === 'complete'),
    [],
    'no half body',
  );
  held.length = 0;
});

test('G16: upstream that ends its connection or allows one stream loses no call in flight and doubles no write', async (t) => {
  const client = rawClient(arena.gateway);
  const keyed = { 'api-key': KEYS.admin };
  const upsert = message({ 1: 'mine' });
  t.ok(
    [13, 14, 2].includes((await unary(client, '/qdrant.Points/ClearPayload', upsert, keyed)).code),
    'an error, never success',
  );
  const codes: number[] = [];
  for (let call = 0; call < 4; call += 1) codes.push((await unary(client, UPSERT, upsert, keyed)).code);
  t.equal(codes.filter((code) => code === 14).length <= 1, true, `codes after the loss: ${codes}`);
  t.ok(arena.asked().filter((path) => path === UPSERT).length <= 4, 'no write is sent twice');
  await unary(client, '/qdrant.Points/SetPayload', upsert, keyed);
  arena.upstream.recorder.clear();
  const many = await Promise.all(Array.from({ length: 5 }, () => unary(client, UPSERT, upsert, keyed)));
  t.same([...new Set(many.map(({ code }) => code))], [5], 'one stream at a time: all get their answer');
  t.equal(arena.asked().length, 5, 'I2');
  client.close();
});

test('G18: an answer of trailers only, odd texts and binary metadata pass intact', async (t) => {
  const client = await framesTo(arena, 'grpc');
  t.equal(await request(client, 1, grpcFields('/qdrant.Points/Delete', [writer]), naming('mine')), 'grpc 9');
  const seen = client.frames.find(({ streamId, type }) => streamId === 1 && type === FrameType.HEADERS);
  t.match(seen?.headers, {
    ':status': '200',
    'grpc-message': 'caf%C3%A9 %25',
    'x-bin': 'AAECAw',
    'grpc-status-details-bin': details,
  });
  client.close();
});

test('G19: the wrong protocol on a port is refused clearly and at once', async (t) => {
  const { rest, grpc, ca } = arena.gateway;
  const get = `GET /collections HTTP/1.1\r\nhost: localhost\r\napi-key: ${KEYS.admin}\r\nconnection: close\r\n\r\n`;
  for (const port of [rest.port, grpc.port]) {
    const plain = await talk(await openPlain(port), get, 3000);
    t.match(
      { closed: plain.closed, text: plain.received.toString() },
      { closed: true, text: /^HTTP\/1\.1 400 [\s\S]*HTTPS port/ },
    );
    for (const ALPNProtocols of [['spdy/3'], ['http/0.9'], ['h3']]) {
      await t.rejects(openTls(port, { ca, ALPNProtocols }), `${ALPNProtocols}`);
    }
    const prior = await H2Client.connect(port, {});
    await until(() => prior.closed, 'cleartext HTTP/2 to a TLS port ends');
  }
  const http1 = await openTls(grpc.port, { ca, ALPNProtocols: ['h2'] });
  t.match(await talk(http1, get, 3000), { closed: true }, 'HTTP/1.1 on the gRPC port');
  const none = await openTls(grpc.port, { ca });
  t.match(await talk(none, get, 3000), { closed: true }, 'without ALPN');
  const onRest = await framesTo(arena, 'rest');
  t.match(await request(onRest, 1, grpcFields(LIST, [admin]), EMPTY), /^status 404$/, 'gRPC on the REST port');
  onRest.close();
  const web = await framesTo(arena, 'grpc');
  const fields = grpcFields(INFO, [reader]).map(
    ([name, value]): HeaderField => [name, name === 'content-type' ? 'application/grpc-web+proto' : value],
  );
  t.match(
    await request(web, 1, fields, naming('other')),
    /^(grpc (7|12|13)|status 4|reset)/,
    'gRPC-Web is judged all the same',
  );
  web.close();
  t.same(
    arena.asked().filter((asked) => !asked.startsWith('POST /')),
    [],
    'I1',
  );
});
