// A client that sent a request and a part of another, and closed its half while the first was under way, kept its connection
// for the whole body idle time (300 s): the end had been forgotten when the second body was waited for.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { Connections } from '../../src/net/connections.ts';
import { recordingUpstream, startGateway, type TestGateway, testCertificate } from '../rest/lane-fixture.ts';
import { until } from '../support/until.ts';

const certificate = await testCertificate();
const HOUR_MS = 3_600_000;

const ask = (method: string, path: string, key: string, lines: string, body: string): string =>
  `${method} ${path} HTTP/1.1\r\nhost: x\r\napi-key: ${key}\r\n${lines}\r\n${body}`;
const short = (method: string, path: string, key: string, size: number, lines = ''): string =>
  ask(method, path, key, `content-length: ${size}\r\n${lines}`, `{"a":"${'x'.repeat(size)}`.slice(0, size - 1));

const QUERY = '/collections/a/points/query';
const POINTS = '/collections/a/points?short';
const CHUNKED = 'transfer-encoding: chunked\r\n';
const CASES: readonly (readonly [name: string, bytes: string])[] = [
  ['a small body that is looked at', short('POST', QUERY, 'listA', 11)],
  ['a large body that is looked at', short('POST', QUERY, 'listA', 300_000)],
  ['a body that is held for its nesting', short('PUT', POINTS, 'writeA', 100)],
  ['a small body that streams', short('PUT', POINTS, 'main', 11)],
  ['a large body that streams', short('PUT', POINTS, 'main', 300_000)],
  ['a large body that streams and is measured', short('PUT', POINTS, 'writeA', 300_000)],
  ['nothing of a body', ask('PUT', POINTS, 'main', 'content-length: 10\r\n', '')],
  ['a refused body', short('PUT', POINTS, 'wrong', 300_000)],
  ['a body that may not be written', short('PUT', POINTS, 'read', 11)],
  ['a body on an open route', short('GET', '/healthz', 'main', 1_000)],
  ['a body for the other lane', short('PUT', POINTS, 'main', 11, 'content-encoding: identity\r\n')],
  ['chunks that stream', ask('PUT', POINTS, 'main', CHUNKED, '2\r\n{}\r\n')],
  ['chunks that are looked at', ask('POST', QUERY, 'listA', CHUNKED, '2\r\n{}\r\n')],
  ['a chunk in its middle', ask('POST', QUERY, 'listA', CHUNKED, '200\r\n{}')],
  ['refused chunks', ask('PUT', POINTS, 'wrong', CHUNKED, '2\r\n{}\r\n')],
  ['a body that was asked for', short('POST', QUERY, 'listA', 11, 'expect: 100-continue\r\n')],
];
const FIRST = ask('GET', '/collections/a?first', 'main', '', '');

function open(port: number, tls: boolean): Socket {
  const socket = tls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, allowHalfOpen: true } as never)
    : connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  return socket.on('error', () => undefined);
}

interface Fixture {
  readonly gateway: TestGateway;
  /** Answers the first request, which waits for it. */
  readonly answer: () => void;
  readonly waits: () => boolean;
  readonly whole: () => readonly string[];
}

async function start(test: Test, options: { relayed: boolean; tls: boolean }): Promise<Fixture> {
  const waiting: (() => void)[] = [];
  const upstream = await recordingUpstream((request, response) => {
    response.setHeader('content-type', 'application/json');
    const answer = () => response.end('{"result":true}');
    if (request.url?.includes('first')) waiting.push(answer);
    else answer();
  });
  const gateway = await startGateway(upstream.port, {
    relayed: options.relayed,
    limits: {
      body_idle_timeout_ms: HOUR_MS,
      stream_idle_timeout_ms: HOUR_MS,
      keep_alive_timeout_ms: HOUR_MS,
      header_timeout_ms: HOUR_MS,
    },
    ...(options.tls ? { tls: certificate } : {}),
  });
  test.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const whole = () => upstream.received.filter(({ body }) => body.length > 0).map(({ target }) => target);
  return { gateway, whole, waits: () => waiting.length > 0, answer: () => waiting.shift()?.() };
}

const atRest = ({ gateway }: Fixture) => {
  const { sockets, exchanges, relayed } = gateway.listener.figures();
  return sockets === 0 && exchanges === 0 && relayed === 0;
};

for (const relayed of [true, false]) {
  for (const tls of [false, true]) {
    const lane = `${relayed ? 'relay' : 'no relay'}, ${tls ? 'TLS' : 'plain'}`;
    t.test(`the end comes while the request before is under way (${lane})`, async (t) => {
      const fixture = await start(t, { relayed, tls });
      for (const [name, bytes] of CASES) {
        const socket = open(fixture.gateway.port, tls);
        let text = '';
        let closed = false;
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
        });
        socket.once('close', () => {
          closed = true;
        });
        socket.end(FIRST + bytes);
        await until(() => fixture.waits() && socket.writableFinished, `${name}: sent`);
        fixture.answer();
        await until(() => atRest(fixture) && closed, `${name}: the connection ends`);
        t.match(text, /^HTTP\/1\.1 200 /, `${name}: what came whole is answered`);
        socket.destroy();
      }
      t.strictSame(fixture.whole(), [], 'and no other body reached its end');
      t.strictSame(fixture.gateway.faults, []);
    });

    t.test(`the client has gone altogether (${lane})`, async (t) => {
      const fixture = await start(t, { relayed, tls });
      for (const [name, bytes] of CASES) {
        const sockets = Array.from({ length: 4 }, () => open(fixture.gateway.port, tls));
        for (const socket of sockets) socket.end(FIRST.replace('first', 'quick') + bytes, () => socket.destroy());
        await until(() => sockets.every((socket) => socket.destroyed), `${name}: left`);
        await until(() => atRest(fixture), `${name}: the connections end`);
      }
      t.strictSame(fixture.whole(), []);
      t.strictSame(fixture.gateway.faults, []);
    });
  }
}

for (const relayed of [true, false]) {
  t.test(`a gateway that stops does not wait for them (${relayed ? 'relay' : 'no relay'})`, async (t) => {
    const fixture = await start(t, { relayed, tls: false });
    const sockets = CASES.map(() => open(fixture.gateway.port, false).resume());
    for (const [at, [, bytes]] of CASES.entries()) sockets[at]?.end(FIRST.replace('first', 'quick') + bytes);
    const answered = () => fixture.gateway.outcomes.filter(({ outcome }) => outcome.status === 200).length;
    await until(() => answered() >= CASES.length, 'the first request of each is answered');
    let closed = false;
    void fixture.gateway.listener.close(HOUR_MS).then(() => {
      closed = true;
    });
    await until(() => closed, 'stopped within its grace');
    for (const socket of sockets) socket.destroy();
    t.strictSame(fixture.gateway.faults, []);
  });
}

for (const relayed of [true, false]) {
  t.test(`a client that leaves within a body that is thrown away did nothing wrong (${relayed})`, async (t) => {
    const upstream = await recordingUpstream();
    const connections = new Connections((error) => t.error(error));
    const gateway = await startGateway(upstream.port, { relayed, connections });
    t.teardown(async () => {
      await gateway.close();
      await upstream.close();
    });
    const cases: readonly (readonly [name: string, bytes: string, faults: object])[] = [
      ['a length', short('PUT', POINTS, 'wrong', 300_000), {}],
      ['chunks', ask('PUT', POINTS, 'wrong', CHUNKED, '2\r\n{}\r\n'), {}],
      ['chunks that are none', ask('PUT', POINTS, 'wrong', CHUNKED, '2\r\n{}\r\nz'), { body: 1 }],
    ];
    for (const [name, bytes, faults] of cases) {
      const socket = open(gateway.port, false);
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      socket.write(bytes);
      await until(() => text.startsWith('HTTP/1.1 401'), `${name}: refused`);
      socket.end();
      await until(() => gateway.listener.figures().sockets === 0, `${name}: the connection ends`);
      t.strictSame(connections.counts().faults, faults, name);
      socket.destroy();
    }
  });
}
