import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t from 'tap';
import { NO_PEBBLE, startPebble } from '../support/acme/pebble.ts';
import { acmeFolder } from '../support/acme/renewing.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { FILE_MS } from '../support/patience.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { freePort } from '../support/process/redis.ts';
import { runScript } from '../support/process/run-script.ts';
import { until } from '../support/until.ts';

t.setTimeout(FILE_MS);

const DOMAIN = 'qdrant.example.com';

t.test(
  'several workers: one process orders, any worker answers validations, and all have the certificate',
  { skip: NO_PEBBLE },
  async (t) => {
    const port = await freePort();
    const pebble = await startPebble(t, { tlsPort: port });
    const upstream = await startFakeQdrant();
    t.teardown(() => upstream.close());
    const folder = acmeFolder();
    const settings = {
      QDRANT_GATEWAY__ACME__DOMAINS: DOMAIN,
      QDRANT_GATEWAY__ACME__AGREE_TOS: 'true',
      QDRANT_GATEWAY__ACME__DIRECTORY: pebble.directory,
      QDRANT_GATEWAY__ACME__DIRECTORY_CA: pebble.caFile,
      QDRANT_GATEWAY__ACME__FOLDER: folder,
    };
    const gateway = await startGatewayProcess(upstream, {
      ...settings,
      QDRANT__SERVICE__HTTP_PORT: `${port}`,
      QDRANT_GATEWAY__WORKERS: '3',
    });
    t.teardown(() => gateway.close());
    await until(() => pebble.count('Issued certificate') === 1, 'a certificate was issued');
    const ca = await pebble.root();
    const shake = (to: number): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect({ port: to, host: '127.0.0.1', servername: DOMAIN, ca, ALPNProtocols: ['h2'] });
        socket.once('secureConnect', () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.once('error', (error) => resolve(error.message));
      });
    for (const to of [gateway.rest.port, gateway.grpc.port]) {
      // Connections go to the workers in turn.
      const all = async (): Promise<ReadonlySet<string>> =>
        new Set([await shake(to), await shake(to), await shake(to)]);
      await until(async () => /^[0-9A-F]+$/.test([...(await all())].join()), 'every worker has one certificate');
    }
    t.equal(pebble.count('Added order'), 1);
    t.notMatch(gateway.errors(), /"level":"(warn|error)"/, 'there is nothing to tell');

    const doctor = await runScript(['src/cli/main.ts', 'doctor', '--json'], {
      env: {
        QDRANT__SERVICE__API_KEY: 'an-admin-key-of-thirty-two-bytes!',
        QDRANT_GATEWAY__UPSTREAM__REST_URL: upstream.restUrl,
        QDRANT_GATEWAY__UPSTREAM__GRPC_URL: upstream.grpcUrl,
        ...settings,
      },
    });
    const { findings } = JSON.parse(doctor.out);
    const of = (check: string) => findings.filter((one: { check: string }) => one.check === check);
    t.match(of('certificates'), [{ verdict: 'ok', text: /^it ends on .*, and is renewed on / }]);
    t.match(of('certificate authority'), [{ verdict: 'ok', text: `${pebble.directory} answers` }]);
    t.notMatch(doctor.out, readFileSync(join(folder, 'account.json'), 'utf8').slice(20, 60), 'and shows no key');
  },
);
