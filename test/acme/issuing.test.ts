import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { connect, type TLSSocket } from 'node:tls';
import t from 'tap';
import { NO_PEBBLE, startPebble } from '../support/acme/pebble.ts';
import { acmeFolder } from '../support/acme/renewing.ts';
import { KEYS } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { freePort } from '../support/process/redis.ts';
import { startSupervised } from '../support/supervised.ts';
import { until } from '../support/until.ts';

t.setTimeout(FILE_MS);

const DOMAIN = 'qdrant.example.com';

interface Shaken {
  readonly protocol: string | false | null;
  readonly serial: string;
  readonly names: string | undefined;
}

/** The outcome of a handshake: what was agreed on, or the code of the error. */
function shake(port: number, options: { alpn?: readonly string[]; name?: string }): Promise<Shaken | string> {
  return new Promise((resolve) => {
    const socket: TLSSocket = connect({
      ...{ port, host: '127.0.0.1', servername: options.name ?? DOMAIN, rejectUnauthorized: false },
      ...(options.alpn ? { ALPNProtocols: [...options.alpn] } : {}),
    });
    socket.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    socket.once('secureConnect', () => {
      const { raw } = socket.getPeerCertificate();
      const shown = new X509Certificate(raw);
      resolve({ protocol: socket.alpnProtocol, serial: shown.serialNumber, names: shown.subjectAltName });
      socket.destroy();
    });
  });
}

t.test(
  'a gateway gets its certificate by TLS-ALPN-01 on the REST port, serves both ports with it and renews it',
  { skip: NO_PEBBLE },
  async (t) => {
    const port = await freePort();
    const pebble = await startPebble(t, { tlsPort: port, validity: 12 });
    const folder = acmeFolder();
    const gateway = await startSupervised({
      'service.http_port': port,
      'service.enable_tls': false,
      'gateway.acme.domains': DOMAIN,
      'gateway.acme.agree_tos': true,
      'gateway.acme.directory': pebble.directory,
      'gateway.acme.directory_ca': pebble.caFile,
      'gateway.acme.folder': folder,
      'gateway.admin.port': 0,
    });
    t.teardown(() => gateway.close());
    const report = () => gateway.operator.acme?.();
    const grpcPort = gateway.grpc.port;

    t.match(report(), { expiresAt: undefined, orders: { ok: 0, failed: 0 } }, 'there is no certificate at first');
    const before = { rest: await shake(port, {}), grpc: await shake(grpcPort, { alpn: ['h2'] }) };
    if (report()?.expiresAt === undefined) {
      const refused = 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE';
      t.same(before, { rest: refused, grpc: refused }, 'and every handshake is refused: nothing is served without TLS');
    }
    await until(() => (report()?.orders.ok ?? 0) >= 1, 'a certificate was issued');

    const root = await pebble.root();
    /** The serial number that both ports show. A certificate lives for seconds here: it may change between two looks. */
    const shown = async (): Promise<string> => {
      let serial = '';
      await until(async () => {
        const [ofRest, ofGrpc] = [await shake(port, { alpn: ['h2'] }), await shake(grpcPort, { alpn: ['h2'] })];
        if (typeof ofRest === 'string' || typeof ofGrpc === 'string') return false;
        serial = ofRest.serial;
        return ofRest.names === `DNS:${DOMAIN}` && ofRest.protocol === 'h2' && ofGrpc.serial === serial;
      }, 'both ports have the same certificate');
      return serial;
    };
    const first = await shown();

    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: root });
    const ask = async (): Promise<readonly [status: number | undefined, reused: boolean]> => {
      const sent = request({
        ...{ agent, host: '127.0.0.1', port, servername: DOMAIN, path: '/collections' },
        headers: { 'api-key': KEYS.admin },
      });
      sent.end();
      const [response] = await once(sent, 'response');
      await buffer(response);
      return [response.statusCode, sent.reusedSocket];
    };
    await until(async () => (await ask().catch(() => [0]))[0] === 200, 'a client that trusts the CA is served');

    t.equal(statSync(folder).mode & 0o777, 0o700);
    for (const file of ['certificate.pem', 'account.json', 'schedule.json', 'lease.json']) {
      t.equal(statSync(join(folder, file)).mode & 0o777, 0o600, `${file} is the owner's alone`);
    }
    t.match(readFileSync(join(folder, 'certificate.pem'), 'utf8'), /BEGIN CERTIFICATE[\s\S]*BEGIN PRIVATE KEY/);

    await until(() => (report()?.orders.ok ?? 0) >= 2, 'the certificate was renewed');
    t.same(await ask(), [200, true], 'an open connection goes on');
    t.not(await shown(), first, 'new ones get the new certificate');
    t.match(await shake(port, { alpn: ['http/1.1'] }), { protocol: 'http/1.1' });
    t.equal(pebble.count('accounts in memory'), 1, 'with the same account');
    rmSync(join(folder, 'certificate.pem'));
    t.match(await gateway.operator.reload('admin'), { ok: true }, 'a file that has gone is no fault');
    const kept = await shake(port, { alpn: ['h2'] });
    t.match(kept, { protocol: 'h2', names: `DNS:${DOMAIN}` }, 'and the certificate in force stays');
    agent.destroy();

    const page = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
    t.match(page, /qdrant_gateway_acme_orders_total\{result="ok"\} [2-9]/);
    t.match(page, /qdrant_gateway_acme_leader 1/);
    t.match(page, /qdrant_gateway_certificate_expires_in_seconds\{certificate="listener"\} /);
  },
);

t.test(
  'a gateway whose names cannot be proved serves nothing, is not ready and says why',
  { skip: NO_PEBBLE },
  async (t) => {
    const pebble = await startPebble(t);
    const gateway = await startSupervised({
      'gateway.acme.domains': DOMAIN,
      'gateway.acme.agree_tos': true,
      'gateway.acme.directory': pebble.directory,
      'gateway.acme.directory_ca': pebble.caFile,
      'gateway.acme.folder': acmeFolder(),
      'gateway.admin.port': 0,
    });
    t.teardown(() => gateway.close());
    await until(() => gateway.operator.acme?.().orders.failed === 1, 'the order failed');
    const report = gateway.operator.acme?.();
    t.match(report?.problem, { kind: 'challenge', text: /`qdrant\.example\.com` could not be proved: / });
    t.ok((report?.nextAttemptAt ?? 0) > Date.now() + 30_000, 'the next attempt comes later');
    const ready = await fetch(`http://127.0.0.1:${gateway.adminPort}/-/ready`);
    t.equal(ready.status, 503);
    t.match(await ready.json(), { ready: false, certificate: 'missing', certificate_problem: 'challenge' });
    const refused = 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE';
    const noProtocol = 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL';
    const cases: readonly (readonly [name: string, port: number, alpn: readonly string[] | undefined, code: string])[] =
      [
        ['a client of REST', gateway.rest.port, ['h2', 'http/1.1'], refused],
        ['a client without ALPN', gateway.rest.port, undefined, refused],
        ['a client of gRPC', gateway.grpc.port, ['h2'], refused],
        ['a validation of the REST port while none is under way', gateway.rest.port, ['acme-tls/1'], noProtocol],
        ['a validation of the gRPC port', gateway.grpc.port, ['acme-tls/1'], noProtocol],
      ];
    for (const [name, port, alpn, code] of cases) {
      t.equal(await shake(port, alpn ? { alpn } : {}), code, `${name} is refused`);
    }
  },
);
