// Headers were removed under their own name only, and passed under an alias with underscores, which many servers take
// for the same. Here `_` is read as `-` where headers are removed, and only the defined names carry a credential.
import t from 'tap';
import { H2Client, naming } from '../support/clients/h2-client.ts';
import { KEYS } from '../support/gateway.ts';
import { ADMIN, ADMIN_FIELD, attack, CLOSE, headerOf, requestOf } from './attack.ts';

const gateway = await attack(t);
const ALIASES = ['api_key', 'x_forwarded_for', 'x_forwarded-for', 'x_real_ip', 'x_forwarded_proto', 'x_forwarded_host'];

t.test('REST: no alias of the key is a key', async (t) => {
  for (const name of ['api_key', 'Api_Key', 'api.key', 'apikey', 'x-api-key', 'grpc-metadata-api-key']) {
    const line = `${name}: ${KEYS.admin}`;
    t.strictSame((await gateway.send(requestOf('GET /collections/docs', CLOSE, line))).statuses, [401], name);
  }
  const target = `/collections/docs?api-key=${KEYS.admin}&api_key=${KEYS.admin}`;
  t.strictSame((await gateway.send(requestOf(`GET ${target}`, CLOSE))).statuses, [401], 'nor is one in the query');
  t.equal(gateway.bytes(), 0);
});

t.test('REST: no alias of a removed header arrives', async (t) => {
  const lines = [...ALIASES, 'Transfer_Encoding', 'Proxy_Authorization', 'X_Original_URL'];
  await gateway.send(
    requestOf('GET /collections/docs', ADMIN, CLOSE, 'X_Own: 1', ...lines.map((name) => `${name}: 1`)),
  );
  const raw = gateway.upstream.recorder.rest[0]?.rawHeaders ?? [];
  t.strictSame(
    lines.flatMap((name) => headerOf(raw, name.toLowerCase())),
    [],
  );
  t.strictSame(headerOf(raw, 'x_own'), ['1'], 'others with an underscore are no alias');
  t.strictSame(gateway.seen(), ['GET /collections/docs']);
});

t.test('gRPC: no alias of the key is a key, and none is sent on', async (t) => {
  const client = await H2Client.connect(gateway.grpc.port);
  t.teardown(() => client.close());
  client.call(1, '/qdrant.Collections/Get', naming('docs'), [['api_key', KEYS.admin]]);
  t.match(await client.status(1), /^16 /);
  t.equal(gateway.bytes(), 0);
  client.call(3, '/qdrant.Collections/Get', naming('docs'), [ADMIN_FIELD, ['api_key', 'x']]);
  t.equal(await client.status(3), '0');
  t.strictSame(headerOf(gateway.upstream.recorder.grpc[0]?.metadata ?? [], 'api_key'), []);
  gateway.seen();
});

t.test('gRPC: no alias of a removed header arrives', async (t) => {
  const client = await H2Client.connect(gateway.grpc.port);
  t.teardown(() => client.close());
  const forged = ALIASES.map((name) => [name, '1'] as const);
  client.call(1, '/qdrant.Collections/Get', naming('docs'), [ADMIN_FIELD, ...forged]);
  t.equal(await client.status(1), '0');
  const raw = gateway.upstream.recorder.grpc[0]?.metadata ?? [];
  t.strictSame(
    ALIASES.filter((name) => headerOf(raw, name).length > 0),
    [],
  );
});
