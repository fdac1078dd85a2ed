import { QdrantClient } from '@qdrant/js-client-rest';
import t from 'tap';
import { grpcClient, grpcOutcome, trust } from '../support/clients/official.ts';
import { prepare, TUTORIAL } from '../support/clients/tutorial.ts';
import { CALLERS } from '../support/clients/tutorial-callers.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { collectionToken, makeToken } from '../support/tokens.ts';

const PERMISSION_DENIED = 7;

const gateway = await startGateway();
t.teardown(() => gateway.close());
trust(gateway.ca);
const direct = new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false });
const { recorder } = gateway.upstream;

for (const compression of [true, false]) {
  for (const caller of CALLERS) {
    t.test(`the tutorial over gRPC ${compression ? 'with' : 'without'} gzip with ${caller.name}`, async (test) => {
      await prepare(direct);
      const client = grpcClient(gateway, caller.credential, {}, compression);
      for (const step of TUTORIAL) {
        const refusal = caller.refusals[step.needs];
        recorder.clear();
        const outcome = await grpcOutcome(step.grpc(client));
        test.same(outcome, refusal === undefined ? 'ok' : [PERMISSION_DENIED, refusal], step.name);
        test.equal(recorder.grpc.length, refusal === undefined ? 1 : 0, `${step.name}: calls that reach upstream`);
      }
    });
  }
}

t.test('the tutorial gives what the documentation shows', async (test) => {
  await prepare(direct);
  const points = grpcClient(gateway, KEYS.admin).api('points');
  const nearest = await points.search({ collectionName: 'cities', vector: [0.2, 0.1, 0.9, 0.7], limit: 3n });
  test.same(
    nearest.result.map(({ id, score }) => [id?.pointIdOptions.value, Math.round(score * 1000)]),
    [
      [4n, 1362],
      [1n, 1273],
      [3n, 1208],
    ],
  );
  test.match(await points.count({ collectionName: 'cities' }), { result: { count: 6n } });
  const missing = points.count({ collectionName: 'missing' });
  test.same(await grpcOutcome(missing), [5, "Not found: Collection `missing` doesn't exist!"]);
});

t.test('lists show only what a token lists', async (test) => {
  await prepare(direct);
  const actions = ['cities', 'private'].map((name) => ({
    create_alias: { collection_name: name, alias_name: `${name}-alias` },
  }));
  await direct.updateCollectionAliases({ actions });
  const own: Record<string, string[]> = {
    'an r token': ['cities'],
    'an rw token': ['cities'],
    'a prw token': ['cities'],
    'a token of another collection': ['private'],
    'a token with an empty list': [],
  };
  for (const { name, credential } of CALLERS) {
    const collections = grpcClient(gateway, credential).api('collections');
    const list = await collections.list({});
    const listed = list.collections.map((collection) => collection.name).sort();
    test.same(listed, own[name] ?? ['cities', 'private'], name);
    const { aliases } = await collections.listAliases({});
    test.equal(aliases.length, name in own ? 0 : 2, `aliases for ${name}`);
  }
});

t.test('a token that lists an alias and its collection sees the pair', async (test) => {
  await prepare(direct);
  const create_alias = { collection_name: 'cities', alias_name: 'towns' };
  await direct.updateCollectionAliases({ actions: [{ create_alias }] });
  const access = ['cities', 'towns'].map((collection) => ({ collection, access: 'r' }));
  const client = grpcClient(gateway, makeToken({ access }));
  const { aliases } = await client.api('collections').listAliases({});
  test.same(
    aliases.map(({ aliasName, collectionName }) => [aliasName, collectionName]),
    [['towns', 'cities']],
  );
  const ofOne = await client.api('collections').listCollectionAliases({ collectionName: 'cities' });
  test.equal(ofOne.aliases.length, 1);
  const without = await grpcClient(gateway, collectionToken('r', 'cities'))
    .api('collections')
    .listCollectionAliases({ collectionName: 'cities' });
  test.equal(without.aliases.length, 0);
});

t.test('a name in the body is judged as one in the path', async (test) => {
  await prepare(direct);
  const nearest = {
    variant: {
      case: 'nearest' as const,
      value: { variant: { case: 'dense' as const, value: { data: [1, 0, 0, 0] } } },
    },
  };
  const cases = [
    { name: 'lookup_from', request: { lookupFrom: { collectionName: 'private' } } },
    { name: 'a prefetch', request: { prefetch: [{ query: nearest, lookupFrom: { collectionName: 'private' } }] } },
    {
      name: 'a nested prefetch',
      request: {
        prefetch: [{ query: nearest, prefetch: [{ query: nearest, lookupFrom: { collectionName: 'private' } }] }],
      },
    },
  ];
  for (const compression of [true, false]) {
    const client = grpcClient(gateway, collectionToken('rw', 'cities'), {}, compression).api('points');
    const reader = grpcClient(gateway, KEYS.readOnly, {}, compression).api('points');
    for (const { name, request } of cases) {
      recorder.clear();
      const query = { collectionName: 'cities', query: nearest, limit: 1n, ...request };
      const text = 'Forbidden: Access to collection private is required';
      test.same(await grpcOutcome(client.query(query)), [PERMISSION_DENIED, text], `${name}, ${compression}`);
      test.equal(recorder.grpc.length, 0, `${name} puts no call upstream`);
      test.equal(await grpcOutcome(reader.query(query)), 'ok', `${name} by the read-only key`);
      const own = JSON.parse(JSON.stringify(request).replaceAll('private', 'cities'));
      test.equal(await grpcOutcome(client.query({ ...query, ...own })), 'ok', `${name} to the own collection`);
    }
  }
});

t.test('an undecided call leaves upstream without a connection', async (test) => {
  await prepare(direct);
  recorder.clear();
  const client = grpcClient(gateway, collectionToken('r', 'cities'));
  const text = 'Forbidden: Access to collection private is required';
  const denied = client.api('collections').get({ collectionName: 'private' });
  test.same(await grpcOutcome(denied), [PERMISSION_DENIED, text]);
  test.same([recorder.grpc.length, recorder.connections.grpc], [0, 0]);
  test.equal(await grpcOutcome(client.api('collections').get({ collectionName: 'cities' })), 'ok');
  test.same([recorder.grpc.length, recorder.connections.grpc], [1, 1]);
});
