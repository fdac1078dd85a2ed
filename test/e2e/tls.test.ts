import { text } from 'node:stream/consumers';
import type { SecureVersion } from 'node:tls';
import { QdrantClient } from '@qdrant/js-client-rest';
import t from 'tap';
import { grpcClient, grpcOutcome, restClient, restOutcome, trust } from '../support/clients/official.ts';
import { openHttp2, openPlain, openTls, talk } from '../support/clients/sockets.ts';
import { prepare, TUTORIAL } from '../support/clients/tutorial.ts';
import { CALLERS } from '../support/clients/tutorial-callers.ts';
import { rawClient, unary } from '../support/clients/unary.ts';
import { KEYS, startGateway } from '../support/gateway.ts';

const PLAIN_ON_TLS = 'client sent an HTTP request to an HTTPS port';
const REQUEST = `GET /collections HTTP/1.1\r\nhost: localhost\r\napi-key: ${KEYS.admin}\r\n\r\n`;

const gateway = await startGateway();
const open = await startGateway({ tls: false });
t.teardown(async () => {
  await gateway.close();
  await open.close();
});
trust(gateway.ca);
const ports = { rest: gateway.rest.port, grpc: gateway.grpc.port };

for (const [protocol, port] of Object.entries(ports)) {
  t.test(`plain HTTP to the TLS port of ${protocol} gets a readable answer`, async (test) => {
    const { received, closed } = await talk(await openPlain(port), REQUEST);
    const [head = '', body = ''] = received.toString().split('\r\n\r\n');
    test.match(head, /^HTTP\/1\.1 400 /);
    test.equal(body.trim(), PLAIN_ON_TLS);
    test.ok(closed);
  });

  t.test(`garbage to the TLS port of ${protocol} ends that connection only`, async (test) => {
    const garbage = [
      Buffer.alloc(64, 0xff),
      Buffer.of(0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5),
      Buffer.from('PRI * HTTP/2.0\r\n\r\n'),
    ];
    for (const bytes of garbage) {
      const { closed } = await talk(await openPlain(port), bytes);
      test.ok(closed, bytes.toString('hex'));
    }
    test.equal(await restOutcome(restClient(gateway, KEYS.admin).getCollections()), 'ok');
    test.equal(await grpcOutcome(grpcClient(gateway, KEYS.admin).api('collections').list({})), 'ok');
  });

  t.test(`TLS versions on ${protocol}`, async (test) => {
    for (const version of ['TLSv1', 'TLSv1.1'] satisfies SecureVersion[]) {
      // The lowest security level, so that it is the gateway that refuses and not this client.
      const options = { ca: gateway.ca, minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' };
      await test.rejects(
        openTls(port, { ...options, ALPNProtocols: ['h2'] }),
        { code: /ALERT_PROTOCOL_VERSION|PROTOCOL_VERSION/ },
        version,
      );
    }
    for (const version of ['TLSv1.2', 'TLSv1.3'] satisfies SecureVersion[]) {
      const options = { ca: gateway.ca, minVersion: version, maxVersion: version, ALPNProtocols: ['h2'] };
      const socket = await openTls(port, options);
      test.same([socket.getProtocol(), socket.alpnProtocol], [version, 'h2']);
      socket.destroy();
    }
  });

  t.test(`a client that does not trust the CA of ${protocol} gets nowhere`, async (test) => {
    await test.rejects(openTls(port, { ca: [] }), { code: /UNABLE_TO_|SELF_SIGNED/ });
  });
}

t.test('a CBC cipher and a static RSA key exchange are refused', async (test) => {
  for (const port of Object.values(ports)) {
    for (const ciphers of ['ECDHE-ECDSA-AES128-SHA256', 'AES128-GCM-SHA256']) {
      const options = { ca: gateway.ca, maxVersion: 'TLSv1.2' as const, ciphers, ALPNProtocols: ['h2'] };
      await test.rejects(openTls(port, options), { code: /ALERT_HANDSHAKE_FAILURE|HANDSHAKE_FAILURE/ }, ciphers);
    }
  }
});

t.test('REST speaks HTTP/2 and HTTP/1.1, as ALPN says', async (test) => {
  const http1 = await openTls(ports.rest, { ca: gateway.ca, ALPNProtocols: ['http/1.1'] });
  test.equal(http1.alpnProtocol, 'http/1.1');
  const answer = await talk(http1, REQUEST.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'));
  test.match(answer.received.toString(), /^HTTP\/1\.1 200 OK\r\n.*"collections":\[\]/s);
  const none = await openTls(ports.rest, { ca: gateway.ca });
  test.equal(none.alpnProtocol, false);
  const plain = await talk(none, REQUEST.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'));
  test.match(plain.received.toString(), /^HTTP\/1\.1 200 OK/);
  const session = await openHttp2(ports.rest, gateway.ca);
  test.equal(session.alpnProtocol, 'h2');
  for (const [headers, status] of [
    [{ 'api-key': KEYS.admin }, 200],
    [{}, 401],
    [{ 'api-key': 'wrong' }, 401],
  ] as const) {
    const stream = session.request({ ':path': '/collections', ...headers });
    const heads = Promise.withResolvers<number | undefined>();
    stream.once('response', (head) => heads.resolve(head[':status']));
    test.equal(await heads.promise, status);
    await text(stream);
  }
  session.close();
});

t.test('an unknown ALPN protocol is refused on both ports', async (test) => {
  for (const port of Object.values(ports)) {
    await test.rejects(openTls(port, { ca: gateway.ca, ALPNProtocols: ['spdy/3'] }), {
      code: /NO_APPLICATION_PROTOCOL|ECONNRESET/,
    });
  }
});

t.test('HTTP/1.1 on the gRPC port ends, nothing reaches upstream, and the gateway goes on', async (test) => {
  gateway.upstream.recorder.clear();
  open.upstream.recorder.clear();
  const secure = await openTls(ports.grpc, { ca: gateway.ca });
  test.ok((await talk(secure, REQUEST)).closed, 'over TLS');
  test.ok((await talk(await openPlain(open.grpc.port), REQUEST)).closed, 'in cleartext');
  test.ok((await talk(await openPlain(open.grpc.port), Buffer.alloc(4096, 0xaa))).closed, 'garbage in cleartext');
  for (const one of [gateway, open]) {
    test.equal(one.upstream.recorder.bytes, 0);
    test.equal(await grpcOutcome(grpcClient(one, KEYS.admin).api('collections').list({})), 'ok');
  }
});

t.test('garbage and HTTP/2 on the cleartext REST port are answered or ended', async (test) => {
  const cases = [
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1\.1 (400|505|501) /],
    ['hello\r\n\r\n', /^HTTP\/1\.1 (400|501) /],
    ['\x16\x03\x01\x00\x05hello', /^HTTP\/1\.1 (400|501) |^$/],
    ['GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
  ] as const;
  for (const [bytes, expected] of cases) {
    const { received, closed } = await talk(await openPlain(open.rest.port), bytes);
    test.match(received.toString(), expected, JSON.stringify(bytes));
    test.ok(closed);
  }
  test.equal(await restOutcome(restClient(open, KEYS.admin).getCollections()), 'ok');
});

t.test('a client that stops within the handshake is let go', async (test) => {
  const slow = await startGateway({ settings: { 'gateway.limits.tls_handshake_timeout_ms': 300 } });
  test.teardown(() => slow.close());
  for (const port of [slow.rest.port, slow.grpc.port]) {
    test.ok((await talk(await openPlain(port), Buffer.of(0x16, 3, 1))).closed, 'after three bytes');
    test.ok((await talk(await openPlain(port), '')).closed, 'after none');
  }
});

for (const caller of CALLERS) {
  t.test(`in cleartext the tutorial runs on both protocols with ${caller.name}`, async (test) => {
    const direct = new QdrantClient({ url: open.upstream.restUrl, checkCompatibility: false });
    const refused = (kind: 'rest' | 'grpc', needs: (typeof TUTORIAL)[number]['needs']) => {
      const refusal = caller.refusals[needs];
      return refusal === undefined ? 'ok' : [kind === 'rest' ? 403 : 7, refusal];
    };
    await prepare(direct);
    const rest = restClient(open, undefined, { 'api-key': caller.credential });
    for (const step of TUTORIAL) test.same(await restOutcome(step.rest(rest)), refused('rest', step.needs), step.name);
    await prepare(direct);
    const grpc = grpcClient(open, undefined, { authorization: `Bearer ${caller.credential}` });
    for (const step of TUTORIAL) test.same(await grpcOutcome(step.grpc(grpc)), refused('grpc', step.needs), step.name);
  });
}

t.test('grpc-js over TLS and in cleartext', async (test) => {
  for (const one of [gateway, open]) {
    const client = rawClient(one);
    const list = '/qdrant.Collections/List';
    test.match(await unary(client, list, Buffer.alloc(0), { 'api-key': KEYS.admin }), { code: 0 });
    test.match(await unary(client, list, Buffer.alloc(0)), { code: 16 });
    client.close();
  }
});
