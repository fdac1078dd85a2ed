import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import t from 'tap';
import { PATIENCE_MS } from '../support/patience.ts';
import { exchangeRaw, readAnswer, recordingUpstream, startGateway, testCertificate } from './lane-fixture.ts';

const upstream = await recordingUpstream();
const [first, second] = await Promise.all([testCertificate(), testCertificate('own')]);
t.teardown(() => upstream.close());

/** One handshake; `undefined` = refused. */
function shake(
  port: number,
  options: ConnectionOptions = {},
): Promise<{ protocol: string | null; cipher: string; alpn: unknown; serial: string } | undefined> {
  return new Promise((resolve) => {
    const socket: TLSSocket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => {
      resolve({
        protocol: socket.getProtocol(),
        cipher: socket.getCipher().name,
        alpn: socket.alpnProtocol,
        serial: socket.getPeerCertificate().serialNumber,
      });
      socket.destroy();
    });
    socket.on('error', () => resolve(undefined));
  });
}

t.test('TLS speaks 1.2 and 1.3 with the intermediate suites, h2 first', async (t) => {
  const gateway = await startGateway(upstream.port, { tls: first });
  t.teardown(() => gateway.close());
  t.match(await shake(gateway.port), { protocol: 'TLSv1.3' });
  t.match(await shake(gateway.port, { maxVersion: 'TLSv1.2' }), {
    protocol: 'TLSv1.2',
    cipher: /^ECDHE-ECDSA-(AES|CHACHA20)/,
  });
  t.equal(
    await shake(gateway.port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    undefined,
    '1.1 is refused',
  );
  t.equal(await shake(gateway.port, { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' }), undefined, 'so is CBC');
  t.match(await shake(gateway.port, { ALPNProtocols: ['http/1.1', 'h2'] }), { alpn: 'h2' });
  t.match(await shake(gateway.port, { ALPNProtocols: ['http/1.1'] }), { alpn: 'http/1.1' });
  t.match(await shake(gateway.port), { alpn: false }, 'a client without ALPN is served, too');
});

t.test('a new certificate is for new connections; one that cannot be used changes nothing', async (t) => {
  const gateway = await startGateway(upstream.port, { tls: first });
  t.teardown(() => gateway.close());
  const before = await shake(gateway.port);
  const held = connectTls({ host: '127.0.0.1', port: gateway.port, rejectUnauthorized: false });
  await once(held, 'secureConnect');
  t.throws(
    () => gateway.listener.setSecureContext({ cert: second.cert, key: first.key }),
    'the key of another certificate',
  );
  t.throws(() => gateway.listener.setSecureContext({ cert: 'x', key: first.key }), 'no certificate');
  t.strictSame((await shake(gateway.port))?.serial, before?.serial);
  gateway.listener.setSecureContext(second);
  t.not((await shake(gateway.port))?.serial, before?.serial);
  held.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const [answer] = await once(held, 'data');
  t.equal(readAnswer(String(answer)).status, 200, 'a connection that was there goes on');
  held.destroy();
});

t.test('client certificates, where they are asked for', async (t) => {
  const gateway = await startGateway(upstream.port, { tls: { ...first, ca: second.issuer, clientCert: 'required' } });
  t.teardown(() => gateway.close());
  const ask = (options: ConnectionOptions) =>
    new Promise<number>((resolve) => {
      const socket = connectTls({ host: '127.0.0.1', port: gateway.port, rejectUnauthorized: false, ...options });
      socket.on('error', () => resolve(0));
      socket.on('close', () => resolve(0));
      socket.on('data', (data) => {
        resolve(readAnswer(String(data)).status);
        socket.destroy();
      });
      socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    });
  t.equal(await ask({ cert: second.cert, key: second.key }), 200);
  t.equal(await ask({}), 0, 'none');
  t.equal(await ask({ cert: first.cert, key: first.key }), 0, 'of another CA');
});

t.test('slow and silent clients are cut', async (t) => {
  const secure = await startGateway(upstream.port, { tls: first, limits: { tls_handshake_timeout_ms: 200 } });
  const plain = await startGateway(upstream.port, { limits: { header_timeout_ms: 300, max_connections: 3 } });
  t.teardown(async () => {
    await secure.close();
    await plain.close();
  });
  t.ok((await exchangeRaw(secure.port, '')).closed, 'no byte of a handshake');
  t.ok((await exchangeRaw(secure.port, Buffer.from('160301', 'hex'))).closed, 'a handshake that stops');
  const slow = await exchangeRaw(plain.port, 'GET / HTTP/1.1\r\nhost: x\r\nx-a');
  t.strictSame([readAnswer(slow.text).status, slow.closed], [408, true], 'a head that stops');
  const held: Socket[] = [];
  for (let i = 0; i < 3; i++) held.push(connect(plain.port, '127.0.0.1'));
  await Promise.all(held.map((socket) => once(socket, 'connect')));
  t.strictSame(
    await exchangeRaw(plain.port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n', { limitMs: 200 }),
    { text: '', closed: true },
    'one connection too many',
  );
  for (const socket of held) socket.destroy();
});

t.test('closing lets what is running end', async (t) => {
  let release = (): void => undefined;
  const slow = await recordingUpstream((_request, response) => {
    release = () => response.end('whole');
  });
  t.teardown(() => slow.close());
  const gateway = await startGateway(slow.port, { tls: first });
  const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { rejectUnauthorized: false });
  let away = false;
  session.on('goaway', () => {
    away = true;
  });
  const stream = session.request({ ':path': '/collections/a', 'api-key': 'main' });
  const whole = once(stream, 'data');
  await once(slow.server, 'request');
  const closed = gateway.listener.close(5_000);
  await once(session, 'goaway');
  t.ok(away, 'HTTP/2 is told');
  t.equal(
    (await exchangeRaw(gateway.port, 'x', { tls: true, limitMs: 300 })).text,
    '',
    'no new connection is accepted',
  );
  release();
  t.equal(String((await whole)[0]), 'whole');
  await closed;
  t.pass('and it is over');
});

t.test(
  'closing ends HTTP/1.1 connections after their answer, idle ones at once, the rest after the grace',
  async (t) => {
    const answers: (() => void)[] = [];
    const slow = await recordingUpstream((_request, response) => answers.push(() => response.end('whole')));
    t.teardown(() => slow.close());
    const gateway = await startGateway(slow.port);
    const agent = new Agent({ keepAlive: true });
    t.teardown(() => agent.destroy());
    const ask = (path: string) => {
      const asking = request({ host: '127.0.0.1', port: gateway.port, path, headers: { 'api-key': 'main' }, agent });
      asking.end();
      return asking;
    };
    const running = ask('/collections/a');
    const answered = once(running, 'response');
    await once(slow.server, 'request');
    const hanging = ask('/collections/b');
    const cut = once(hanging, 'error');
    await once(slow.server, 'request');
    const closed = gateway.listener.close(300);
    answers[0]?.();
    const [response] = await answered;
    t.equal(response.headers.connection, 'close');
    response.resume();
    await cut;
    await closed;
    t.pass('what hangs is cut');
  },
);

t.test(
  'of the pipelined requests of a client that leaves one is given up and none of the others is begun',
  async (t) => {
    let ended = 0;
    const silent = await recordingUpstream((_request, response) => {
      response.on('close', () => {
        ended += 1;
      });
    });
    const gateway = await startGateway(silent.port, { relayed: false });
    t.teardown(async () => {
      await gateway.close();
      await silent.close();
    });
    const socket = connect(gateway.port, '127.0.0.1');
    socket.write('GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: main\r\n\r\n'.repeat(5));
    while (silent.received.length < 1) await once(silent.server, 'request');
    socket.resetAndDestroy();
    const end = performance.now() + PATIENCE_MS;
    while ((ended < 1 || gateway.outcomes.length < 1) && performance.now() < end) await new Promise(setImmediate);
    t.strictSame([ended, gateway.outcomes.length, silent.received.length], [1, 1, 1]);
  },
);

t.test('an answer without a request reaches no client', async (t) => {
  const { createServer } = await import('node:net');
  let connections = 0;
  const server = createServer((socket) => {
    const id = ++connections;
    socket.on('error', () => undefined);
    let asked = 0;
    socket.on('data', () => {
      const answer = (text: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
      asked += 1;
      socket.write(asked === 1 && id === 1 ? answer('mine') + answer('stray') : answer(`own ${id}`));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const gateway = await startGateway(typeof address === 'object' && address ? address.port : 0, {
    upstreamOptions: { connections: 1 },
  });
  t.teardown(async () => {
    await gateway.close();
    server.close();
  });
  const ask = async () =>
    readAnswer(
      (
        await exchangeRaw(
          gateway.port,
          'GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: main\r\nconnection: close\r\n\r\n',
        )
      ).text,
    ).body;
  t.equal(await ask(), 'mine');
  t.equal(await ask(), 'own 2');
});
