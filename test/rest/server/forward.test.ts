import { once } from 'node:events';
import { type ClientRequest, request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { setImmediate, setTimeout } from 'node:timers/promises';
import t from 'tap';
import { PATIENCE_MS } from '../../support/patience.ts';
import { stopwatch } from '../../support/reference.ts';
import { exchangeRaw, readAnswer, recordingUpstream, startGateway, type TestGateway } from '../lane-fixture.ts';

const GET = 'GET /collections/a HTTP/1.1\r\nhost: gateway.test\r\napi-key: main\r\n';
const ENVELOPE = (message: string) => `{"status":{"error":"${message}"},"time":0.0}`;

/** An upstream that does to its socket whatever `play` says, once a request's head is there. */
async function rawUpstream(
  play: (socket: Socket, head: string) => void,
): Promise<{ port: number; hits: string[]; close(): void }> {
  const hits: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      hits.push(text.slice(0, text.indexOf('\r\n')));
      play(socket, text);
      text = '';
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return {
    port: address.port,
    hits,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Bounded polling for what another socket will do soon. */
async function eventually(holds: () => boolean): Promise<boolean> {
  const end = performance.now() + PATIENCE_MS;
  while (!holds() && performance.now() < end) await setImmediate();
  return holds();
}

t.test('headers that reach upstream', async (t) => {
  const upstream = await recordingUpstream();
  const gateway = await startGateway(upstream.port);
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const ours = [
    'x-forwarded-for',
    '127.0.0.1',
    'x-forwarded-proto',
    'http',
    'x-real-ip',
    '127.0.0.1',
    'x-forwarded-host',
    'gateway.test',
  ];
  const cases: readonly (readonly [name: string, sent: readonly string[], arriving: readonly string[]])[] = [
    [
      'end-to-end headers keep their order and values',
      ['User-Agent: py', 'X-A: 1', 'traceparent: 00', 'X-A: 2'],
      ['user-agent', 'py', 'x-a', '1', 'traceparent', '00', 'x-a', '2'],
    ],
    ['bytes beyond ASCII stay', ['x-a: \u00e4\u00ff'], ['x-a', '\u00e4\u00ff']],
    ['other keys are left alone', ['openai-api-key: s'], ['openai-api-key', 's']],
    ['credentials stay here', ['Authorization: Bearer x', 'API-Key: y', 'proxy-authorization: z'], []],
    ['aliases of credentials stay here', ['api_key: x', 'Api_Key: y', 'x_forwarded_for: 1', 'X_Real-IP: 2'], []],
    [
      'what the gateway says itself is replaced',
      [
        'X-Forwarded-For: 9.9.9.9',
        'x-forwarded-proto: ftp',
        'x-real-ip: 1',
        'forwarded: for=1',
        'x-forwarded-host: evil',
      ],
      [],
    ],
    [
      'what asks for another target is dropped',
      [
        'X-Original-URL: /x',
        'x-rewrite-url: /y',
        'X-HTTP-Method-Override: DELETE',
        'x-forwarded-prefix: /z',
        'x-forwarded-uri: /w',
      ],
      [],
    ],
    [
      'hop-by-hop headers end here',
      ['te: trailers', 'trailer: x', 'proxy-connection: close', 'keep-alive: 5', 'http2-settings: x'],
      [],
    ],
    [
      'what Connection names ends here',
      ['Connection: X-Hop , x-other', 'x-hop: 1', 'X-Other: 2', 'x-kept: 3'],
      ['x-kept', '3'],
    ],
    [
      'Connection takes nothing of ours',
      ['connection: x-forwarded-for, x-real-ip, api-key, content-type', 'content-type: a/b'],
      ['content-type', 'a/b'],
    ],
    [
      'names of the language are only names',
      ['__proto__: x', 'constructor: y'],
      ['__proto__', 'x', 'constructor', 'y'],
    ],
  ];
  for (const [name, sent, arriving] of cases) {
    upstream.received.length = 0;
    const own = sent.some((line) => /^connection:/i.test(line)) ? '' : 'connection: close\r\n';
    const { text } = await exchangeRaw(gateway.port, `${GET}${own}${sent.map((line) => `${line}\r\n`).join('')}\r\n`, {
      until: (seen) => seen.includes('"length"'),
    });
    t.equal(readAnswer(text).status, 200, name);
    const [one] = upstream.received;
    t.strictSame(one?.headers.slice(4), [...arriving, ...ours], name);
    t.strictSame(
      one?.headers.slice(0, 4),
      ['host', `127.0.0.1:${upstream.port}`, 'connection', 'keep-alive'],
      `${name}: upstream's own host`,
    );
  }
});

t.test('the answer comes back as it is, without what concerns the connection', async (t) => {
  const upstream = await rawUpstream((socket) => {
    socket.write(
      'HTTP/1.1 207 Odd Words\r\nX-B: 2\r\nx-b: 3\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nupgrade: h2c\r\n' +
        'Trailer: x-late\r\nvary: Accept-Encoding, Origin\r\naccess-control-allow-origin: *\r\naccess-control-allow-credentials: true\r\n' +
        'date: Mon, 01 Jan 2024 00:00:00 GMT\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-late: 1\r\n\r\n',
    );
  });
  const gateway = await startGateway(upstream.port);
  t.teardown(async () => {
    await gateway.close();
    upstream.close();
  });
  const { text } = await exchangeRaw(gateway.port, `${GET}origin: http://o\r\nconnection: close\r\n\r\n`);
  const { status, head, body } = readAnswer(text);
  t.equal(status, 207);
  t.strictSame(head.split('\r\n').slice(1).sort(), [
    'access-control-allow-origin: http://o',
    'connection: close',
    'date: mon, 01 jan 2024 00:00:00 gmt',
    'transfer-encoding: chunked',
    'vary: accept-encoding',
    'vary: origin, access-control-request-method, access-control-request-headers',
    'x-b: 2',
    'x-b: 3',
  ]);
  t.match(body, /abc[\s\S]*de\r\n0\r\n\r\n$/);
  t.notMatch(body, /x-late/);
});

t.test('faults of upstream are answered in its envelope, and nothing is sent twice', async (t) => {
  const cases: readonly (readonly [name: string, play: (socket: Socket) => void, status: number, message: string])[] = [
    ['a reset', (socket) => socket.resetAndDestroy(), 502, 'upstream gave no valid answer'],
    ['an end without an answer', (socket) => socket.end(), 502, 'upstream gave no valid answer'],
    ['garbage', (socket) => socket.write('SSH-2.0-x\r\n\r\n'), 502, 'upstream gave no valid answer'],
    [
      'a length beside chunked',
      (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
      502,
      'upstream gave no valid answer',
    ],
    [
      '200 KiB of headers',
      (socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(200_000)}\r\n\r\n`),
      502,
      'upstream gave no valid answer',
    ],
    [
      'a storm of informational answers',
      (socket) => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1_000)),
      502,
      'upstream gave no valid answer',
    ],
    [
      'another protocol',
      (socket) => socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
      502,
      'upstream gave no valid answer',
    ],
    ['silence', () => undefined, 504, 'upstream did not answer in time'],
  ];
  for (const [name, play, status, message] of cases) {
    const upstream = await rawUpstream(play);
    const gateway = await startGateway(upstream.port, { upstreamOptions: { headersTimeoutMs: 300 } });
    const put =
      'PUT /collections/a/points HTTP/1.1\r\nhost: x\r\napi-key: main\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}';
    const { text } = await exchangeRaw(gateway.port, put);
    const answer = readAnswer(text);
    t.strictSame([answer.status, answer.body], [status, ENVELOPE(message)], name);
    t.match(answer.head, /x-request-id: [0-9a-f-]{36}/);
    t.equal(upstream.hits.length, 1, `${name}: sent once`);
    await gateway.close();
    upstream.close();
  }
  const gone = await rawUpstream(() => undefined);
  // Its port is taken until the gateway has one of its own.
  const gateway = await startGateway(gone.port);
  gone.close();
  const { text } = await exchangeRaw(gateway.port, `${GET}connection: close\r\n\r\n`);
  t.strictSame(
    [readAnswer(text).status, readAnswer(text).body],
    [502, ENVELOPE('upstream is not reachable')],
    'upstream does not listen',
  );
  await gateway.close();
});

t.test('a cut answer ends as a broken message, never as a short success', async (t) => {
  const cases: readonly (readonly [name: string, bytes: string])[] = [
    ['with a length', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'],
    ['chunked', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n'],
  ];
  for (const [name, bytes] of cases) {
    const upstream = await rawUpstream((socket) => socket.write(bytes, () => socket.resetAndDestroy()));
    const gateway = await startGateway(upstream.port);
    const ended = await new Promise<string>((resolve) => {
      const asking = request(
        { host: '127.0.0.1', port: gateway.port, path: '/collections/a', headers: { 'api-key': 'main' } },
        (answer) => {
          answer.resume();
          answer.on('end', () => resolve('whole'));
          answer.on('error', () => resolve('broken'));
        },
      );
      asking.on('error', () => resolve('broken'));
      asking.end();
    });
    t.equal(ended, 'broken', name);
    await gateway.close();
    upstream.close();
  }
});

t.test('beyond its connections and its queue upstream is busy', async (t) => {
  const upstream = await rawUpstream(() => undefined);
  const gateway = await startGateway(upstream.port, {
    upstreamOptions: { connections: 1, maxWaiting: 1 },
    relayed: false,
  });
  const waiting = [1, 2].map(() => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.write(`${GET}\r\n`);
    return socket;
  });
  t.ok(await eventually(() => upstream.hits.length === 1));
  let third = '';
  for (let i = 0; i < 20 && !third.includes('503'); i++) {
    third = (await exchangeRaw(gateway.port, `${GET}connection: close\r\n\r\n`, { limitMs: 100 })).text;
  }
  t.strictSame([readAnswer(third).status, readAnswer(third).body], [503, ENVELOPE('upstream has no free connection')]);
  for (const socket of waiting) socket.destroy();
  await gateway.close();
  upstream.close();
});

function put(gateway: TestGateway, headers: Record<string, string>): ClientRequest {
  return request({
    host: '127.0.0.1',
    port: gateway.port,
    method: 'PUT',
    path: '/collections/a/points',
    headers: { 'api-key': 'main', ...headers },
    agent: false,
  });
}

const MIB = 1_048_576;

/** Sends `size` bytes at upstream's pace, reads what comes back, and watches the memory of this process. */
async function roundTrip(gateway: TestGateway, size: number): Promise<{ back: number; peak: number }> {
  const chunk = Buffer.alloc(65_536, 'q');
  const seen = { back: 0, peak: 0 };
  const asking = put(gateway, { 'content-length': String(size) });
  const answered = new Promise<void>((resolve, reject) => {
    asking.on('error', reject);
    asking.on('response', (answer) => {
      answer.on('data', (data: Buffer) => {
        seen.back += data.length;
        seen.peak = Math.max(seen.peak, process.memoryUsage.rss());
      });
      answer.on('end', resolve);
    });
  });
  for (let sent = 0; sent < size; sent += chunk.length) {
    if (!asking.write(chunk)) await once(asking, 'drain');
  }
  asking.end();
  await answered;
  return seen;
}

t.test('64 MiB go up and come back, and 256 MiB are never held', async (t) => {
  const upstream = await recordingUpstream();
  upstream.server.removeAllListeners('request');
  upstream.server.on('request', (incoming, response) => {
    response.writeHead(200, { 'content-length': incoming.headers['content-length'] });
    incoming.pipe(response);
  });
  const gateway = await startGateway(upstream.port);
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const first = await roundTrip(gateway, 64 * MIB);
  t.equal(first.back, 64 * MIB);
  const second = await roundTrip(gateway, 256 * MIB);
  t.equal(second.back, 256 * MIB);
  const grown = Math.round((second.peak - first.peak) / MIB);
  t.ok(grown < 128, `grew by ${grown} MiB in the process that holds client, gateway and upstream`);
  t.comment(`peak ${Math.round(first.peak / MIB)} MiB, then ${Math.round(second.peak / MIB)} MiB`);
});

t.test('neither side is read faster than the other takes it', async (t) => {
  const upstream = await recordingUpstream();
  const offered = { up: 0, down: 0 };
  upstream.server.removeAllListeners('request');
  upstream.server.on('request', (incoming, response) => {
    incoming.on('error', () => undefined);
    if (incoming.method === 'PUT') return;
    const chunk = Buffer.alloc(65_536);
    const pour = (): void => {
      while (offered.down < 512 * MIB) {
        offered.down += chunk.length;
        if (!response.write(chunk)) return;
      }
    };
    response.on('drain', pour);
    pour();
  });
  const gateway = await startGateway(upstream.port);
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const asking = put(gateway, { 'content-length': String(512 * MIB) });
  asking.on('error', () => undefined);
  const chunk = Buffer.alloc(65_536);
  const pour = (): void => {
    while (offered.up < 512 * MIB) {
      offered.up += chunk.length;
      if (!asking.write(chunk)) return;
    }
  };
  asking.on('drain', pour);
  pour();
  const reading = request({
    host: '127.0.0.1',
    port: gateway.port,
    path: '/collections/a',
    headers: { 'api-key': 'main' },
    agent: false,
  });
  reading.on('error', () => undefined).end();
  await once(reading, 'response');
  // Both come to rest: nothing moves for 200 ms.
  let last = -1;
  for (let i = 0; i < 40 && last !== offered.up + offered.down; i++) {
    last = offered.up + offered.down;
    await setTimeout(200);
  }
  t.equal(last, offered.up + offered.down, 'at rest');
  t.ok(
    offered.up < 32 * MIB && offered.down < 32 * MIB,
    `${offered.up} bytes up, ${offered.down} bytes down are under way`,
  );
  asking.destroy();
  reading.destroy();
});

t.test('a client that leaves takes its request upstream with it', async (t) => {
  const closed: string[] = [];
  const upstream = await recordingUpstream();
  upstream.server.removeAllListeners('request');
  upstream.server.on('request', (incoming, response) => {
    incoming.on('error', () => undefined);
    response.on('close', () => closed.push(incoming.url ?? ''));
    if (incoming.method === 'GET') response.write('begin');
    incoming.resume();
  });
  const gateway = await startGateway(upstream.port);
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const reading = request({
    host: '127.0.0.1',
    port: gateway.port,
    path: '/collections/a?reading',
    headers: { 'api-key': 'main' },
    agent: false,
  });
  reading.on('error', () => undefined);
  reading.end();
  await once(reading, 'response');
  let took = stopwatch();
  // A client that only closes its half may still wait for the rest.
  reading.socket?.resetAndDestroy();
  t.ok(await eventually(() => closed.length === 1), 'while it reads the answer');
  t.comment(`upstream saw it after ${took()}`);

  const sending = put(gateway, { 'content-length': '1000000' });
  sending.on('error', () => undefined);
  const arrived = once(upstream.server, 'request');
  sending.write('x'.repeat(1_000));
  await arrived;
  took = stopwatch();
  sending.destroy();
  t.ok(await eventually(() => closed.length === 2), 'while it sends its body');
  t.comment(`upstream saw it after ${took()}`);
  t.ok(await eventually(() => gateway.outcomes.length === 2), 'both are recorded');
  t.strictSame(
    gateway.outcomes.map(({ outcome }) => outcome.status),
    [200, undefined],
  );
});

t.test('a body that stands still is given up', async (t) => {
  const upstream = await recordingUpstream();
  const gateway = await startGateway(upstream.port, { limits: { body_idle_timeout_ms: 200 } });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const head = 'PUT /collections/a/points HTTP/1.1\r\nhost: x\r\napi-key: main\r\ncontent-length: 10\r\n\r\nabc';
  const { text, closed } = await exchangeRaw(gateway.port, head);
  t.strictSame(
    [readAnswer(text).status, readAnswer(text).body, closed],
    [408, ENVELOPE('the request body did not arrive in time'), true],
  );
  const inspected =
    'POST /collections/a/points/query HTTP/1.1\r\nhost: x\r\napi-key: listA\r\ncontent-length: 10\r\n\r\nabc';
  const judged = await exchangeRaw(gateway.port, inspected);
  t.strictSame([readAnswer(judged.text).status, judged.closed], [408, true], 'also one that is to be judged');
});

t.test('an early answer to an upload reaches the client, which can go on', async (t) => {
  let sockets = 0;
  const upstream = await rawUpstream((socket) => {
    if (sockets++ > 0) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}');
    else socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig');
  });
  const gateway = await startGateway(upstream.port);
  t.teardown(async () => {
    await gateway.close();
    upstream.close();
  });
  const head = 'PUT /collections/a/points HTTP/1.1\r\nhost: x\r\napi-key: main\r\ncontent-length: 900000\r\n\r\n';
  const next = 'GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: main\r\nconnection: close\r\n\r\n';
  const { text, closed } = await exchangeRaw(gateway.port, head + 'x'.repeat(900_000) + next);
  t.strictSame(
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((found) => found[1]),
    ['413', '200'],
  );
  t.match(readAnswer(text).body, /^big/);
  t.ok(closed);
  t.equal(upstream.hits.filter((line) => line.startsWith('PUT')).length, 1);
});

t.test('a body that may name other collections is judged before a byte goes upstream', async (t) => {
  const upstream = await recordingUpstream();
  const gateway = await startGateway(upstream.port, { limits: { inspected_body_bytes: 1_000 } });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const ask = async (body: string, extra = '') => {
    upstream.received.length = 0;
    const head = `POST /collections/a/points/query HTTP/1.1\r\nhost: x\r\napi-key: listA\r\nconnection: close\r\n${extra}`;
    const { text } = await exchangeRaw(gateway.port, `${head}content-length: ${body.length}\r\n\r\n${body}`);
    return [readAnswer(text).status, upstream.received.map((one) => one.body.toString('latin1'))];
  };
  const plain = ' {"query": 18446744073709551615}';
  t.strictSame(await ask(plain), [200, [plain]], 'the very bytes go upstream');
  const own = '{"lookup_from":{"collection":"a"},"query":1}';
  t.strictSame(await ask(own), [200, [own]], 'a listed collection may be named');
  t.strictSame(await ask('{"lookup_from":{"collection":"b"},"query":1}'), [403, []], 'another may not');
  t.strictSame(
    await ask('{"lookup_from":{"collection":"b"},"query":1}', 'content-type: text/plain\r\n'),
    [403, []],
    'whatever the content type',
  );
  t.strictSame(await ask('{"lookup_from":', ''), [400, []], 'a broken one is refused');
  t.strictSame(await ask(plain, 'content-encoding: gzip\r\n'), [400, []], 'so is one that cannot be decoded');
  t.strictSame(
    await ask(plain, 'connection: content-encoding\r\ncontent-encoding: gzip\r\n'),
    [400, []],
    'Connection hides no coding',
  );
  t.strictSame(await ask(`{"query":"${'x'.repeat(1_000)}"}`), [413, []], 'so is one that is too large');
});
