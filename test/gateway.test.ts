import { copyFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t from 'tap';
import { makeDevCerts } from '../certs/make-dev-certs.ts';
import { startGateway } from './support/gateway.ts';

/** Serial number of the certificate a port presents to a new connection. */
function serialOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

async function until(holds: () => Promise<boolean>): Promise<boolean> {
  const end = AbortSignal.timeout(10_000);
  while (!end.aborted) if (await holds()) return true;
  return false;
}

t.test('certificates are read again on both ports, and files that do not fit together change nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-reload-'));
  const [first, second] = await Promise.all([makeDevCerts(join(folder, 'a')), makeDevCerts(join(folder, 'b'))]);
  const cert = join(folder, 'cert.pem');
  const key = join(folder, 'key.pem');
  copyFileSync(first.cert, cert);
  copyFileSync(first.key, key);
  const settings = { 'tls.cert': cert, 'tls.key': key, 'tls.cert_ttl': 1, log_level: 'off' };
  const gateway = await startGateway({ settings });
  t.teardown(() => gateway.close());
  const ports = [gateway.rest.port, gateway.grpc.port];
  const before = await Promise.all(ports.map(serialOf));
  writeFileSync(cert, 'half a fi');
  copyFileSync(second.cert, cert);
  t.same(await Promise.all(ports.map(serialOf)), before, 'the key is still the old one');
  copyFileSync(second.key, key);
  for (const [index, port] of ports.entries()) {
    t.ok(await until(async () => (await serialOf(port)) !== before[index]), `port ${index} presents the new one`);
  }
});

t.test('it refuses to start before a Qdrant that still has its keys, and says what to do', async (t) => {
  const onRest = (_request: unknown, response: ServerResponse): boolean => {
    response.writeHead(401).end('Must provide an API key or an Authorization bearer token');
    return true;
  };
  const failed: unknown = await startGateway({ upstream: { onRest } }).catch((error: unknown) => error);
  t.match(failed, { problems: [{ place: 'gateway.upstream.rest_url', message: /asks for a key itself/ }] });
});
