import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { QdrantClient } from '@qdrant/js-client-rest';
import t from 'tap';
import { restClient, restOutcome, trust } from '../support/clients/official.ts';
import { prepare, TUTORIAL } from '../support/clients/tutorial.ts';
import { CALLERS } from '../support/clients/tutorial-callers.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { cachedModules } from '../support/process/cached-modules.ts';

const gateway = await startGateway();
t.teardown(() => gateway.close());
trust(gateway.ca);
const direct = new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false });

for (const caller of CALLERS) {
  t.test(`the tutorial over REST with ${caller.name}`, async (test) => {
    await prepare(direct);
    const client = restClient(gateway, caller.credential);
    for (const step of TUTORIAL) {
      const refusal = caller.refusals[step.needs];
      gateway.upstream.recorder.clear();
      const outcome = await restOutcome(step.rest(client));
      test.same(outcome, refusal === undefined ? 'ok' : [403, refusal], step.name);
      const asked = gateway.upstream.recorder.rest.length;
      if (refusal === undefined) test.ok(asked >= 1, `${step.name} reaches upstream`);
      else test.equal(gateway.upstream.recorder.bytes, 0, `${step.name} puts no byte upstream`);
    }
  });
}

t.test('the tutorial gives what the documentation shows', async (test) => {
  await prepare(direct);
  const client = restClient(gateway, KEYS.admin);
  const nearest = await client.query('cities', { query: [0.2, 0.1, 0.9, 0.7], limit: 3 });
  test.same(
    nearest.points.map(({ id, score }) => [id, score]),
    [
      [4, 1.362],
      [1, 1.273],
      [3, 1.208],
    ],
  );
  test.same(await client.count('cities'), { count: 6 });
  await client.setPayload('cities', { payload: { population: 9 }, points: [1] });
  const [first] = await client.retrieve('cities', { ids: [1] });
  test.same(first?.payload, { city: 'Berlin', population: 9 });
  await client.delete('cities', { wait: true, points: [6] });
  test.same(await client.count('cities'), { count: 5 });
  await client.deleteCollection('cities');
  test.same(await client.getCollections(), { collections: [{ name: 'private' }] });
});

t.test('lists show only what a token lists', async (test) => {
  await prepare(direct);
  const actions = ['cities', 'private'].map((name) => ({
    create_alias: { collection_name: name, alias_name: `${name}-alias` },
  }));
  await direct.updateCollectionAliases({ actions });
  for (const { name, credential } of CALLERS) {
    const client = restClient(gateway, credential);
    const { collections } = await client.getCollections();
    const listed = collections.map((collection) => collection.name).sort();
    const expected: Record<string, string[]> = {
      'an r token': ['cities'],
      'an rw token': ['cities'],
      'a prw token': ['cities'],
      'a token of another collection': ['private'],
      'a token with an empty list': [],
    };
    test.same(listed, expected[name] ?? ['cities', 'private'], name);
    const { aliases } = await client.getAliases();
    test.equal(aliases.length, name in expected ? 0 : 2, `aliases for ${name}`);
  }
});

t.test('the client finds the version it looks for, with CA and key as an application has them', async (test) => {
  const script = `
    import { QdrantClient } from '@qdrant/js-client-rest';
    import { QdrantClient as GrpcClient } from '@qdrant/js-client-grpc';
    const rest = new QdrantClient({ url: '${gateway.rest.url}', apiKey: '${KEYS.readOnly}' });
    const grpc = new GrpcClient({ url: '${gateway.grpc.url}', apiKey: '${KEYS.readOnly}' });
    const { collections } = await rest.getCollections();
    const list = await grpc.api('collections').list({});
    const root = await rest.api('service').root({});
    const health = await grpc.api('service').healthCheck({});
    console.log(JSON.stringify([collections.length, list.collections.length, root.data.version, health.version]));
    process.exit(0);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: import.meta.dirname,
    env: { PATH: process.env.PATH, ...cachedModules(), NODE_EXTRA_CA_CERTS: gateway.caFile },
  });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  test.same([out.trim(), err], ['[2,2,"1.20.0","1.20.0"]', '']);
});
