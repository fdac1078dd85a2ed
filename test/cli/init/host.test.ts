import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { init } from '../../../src/cli/init/init.ts';
import { startFakeQdrant } from '../../support/fake-qdrant/main.ts';
import { startGatewayProcess } from '../../support/process/gateway-process.ts';

const NOW = Date.now();

/** Status of `GET /collections`, over TLS with this CA. */
function statusOf(port: number, ca: Buffer, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: 'localhost', port, path: '/collections', ca, headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

t.test('a Qdrant of this host: the gateway serves with what was written', async (t) => {
  const fake = await startFakeQdrant();
  t.teardown(() => fake.close());
  const folder = t.testdir();
  const { json } = await init(undefined, { qdrant: fake.restUrl, yes: true }, NOW, folder);
  t.match(json, { state: 'written', found: [/^Qdrant \d+\.\d+\.\d+ at /, /it is open/, /development CA/] });
  const file = (name: string) => join(folder, 'qdrant-gateway', name);
  const unset = Object.fromEntries(
    ['API_KEY', 'READ_ONLY_API_KEY', 'JWT_RBAC', 'ENABLE_TLS'].map((name) => [`QDRANT__SERVICE__${name}`, undefined]),
  );
  const gateway = await startGatewayProcess(fake, {
    ...unset,
    ...{ QDRANT__TLS__CERT: undefined, QDRANT__TLS__KEY: undefined },
    QDRANT_GATEWAY__CONFIG: file('gateway.yaml'),
    QDRANT_GATEWAY__ADMIN__PORT: '0',
  });
  t.teardown(() => gateway.close());
  const ca = readFileSync(file('tls/ca.pem'));
  const keyIn = (name: string) => readFileSync(file(`secrets/${name}`), 'utf8').trimEnd();
  t.equal(await statusOf(gateway.rest.port, ca, {}), 401, 'a stranger is refused');
  t.equal(await statusOf(gateway.rest.port, ca, { 'api-key': keyIn('api-key') }), 200, 'the admin key is accepted');
  t.equal(
    await statusOf(gateway.rest.port, ca, { 'api-key': keyIn('read-only-api-key') }),
    200,
    'so is that for reading',
  );
});

t.test('an address that is no Qdrant is refused with the reason', async (t) => {
  const folder = t.testdir();
  await t.rejects(
    init(undefined, { qdrant: 'http://127.0.0.1:1' }, NOW, folder),
    /does not answer like a Qdrant: .*(refused|bad port)/i,
  );
  await t.rejects(init(undefined, { qdrant: 'no address' }, NOW, folder), /does not answer like a Qdrant/);
  await t.rejects(init('compose.yaml', { qdrant: 'http://127.0.0.1:1' }, NOW, folder), /not both/);
});

t.test('an endless answer, and a release that is none, are refused', async (t) => {
  const answers: [name: string, body: string][] = [
    ['too large', JSON.stringify({ version: '1.19.0', pad: 'x'.repeat(70_000) })],
    ['an escape in the release', JSON.stringify({ version: '1.19.0\u001b[2J\n' })],
  ];
  for (const [name, body] of answers) {
    const server = createServer((_request, response) => response.end(body)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const folder = t.testdir();
    await t.rejects(
      init(undefined, { qdrant: `http://127.0.0.1:${port}` }, NOW, folder),
      /does not answer like a Qdrant/,
      name,
    );
    server.close();
  }
});
