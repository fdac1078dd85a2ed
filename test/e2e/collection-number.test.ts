import t from 'tap';
import { ask } from '../support/clients/raw-rest.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { startGateway } from '../support/gateway.ts';
import { makeToken } from '../support/tokens.ts';

/** The number of collections a grant permits, before an upstream that keeps them, with creations at the same time. */

const gateway = await startGateway({
  rules: [
    {
      ...{ id: 'team', mode: 'enforce' },
      access: [{ collections: ['team-*'], access: 'rw', manage: ['create', 'delete'], max_collections: 3 }],
    },
  ],
});
const client = rawClient(gateway);
t.teardown(async () => {
  client.close();
  await gateway.close();
});

const headers = { 'api-key': makeToken({ access: 'm' }) };
const BODY = '{"vectors":{"size":4,"distance":"Dot"}}';
const VECTORS = message({ 1: message({ 1: 4, 2: 3 }) });

async function overRest(name: string): Promise<number> {
  const length = { 'content-length': `${BODY.length}` };
  return (await ask(gateway, 'PUT', `/collections/${name}`, { ...headers, ...length }, BODY)).status;
}
const overGrpc = async (name: string) =>
  (await unary(client, '/qdrant.Collections/Create', message({ 1: name, 10: VECTORS }), headers)).code;

async function existing(): Promise<readonly string[]> {
  const listed = JSON.parse((await ask(gateway, 'GET', '/collections', headers)).body) as {
    result: { collections: { name: string }[] };
  };
  return listed.result.collections.map(({ name }) => name);
}

t.test('creations at the same time, over both protocols, never exceed the number', async (test) => {
  const rest = Array.from({ length: 8 }, (_, at) => overRest(`team-r${at}`));
  const grpc = Array.from({ length: 8 }, (_, at) => overGrpc(`team-g${at}`));
  const [statuses, codes] = [await Promise.all(rest), await Promise.all(grpc)];
  const made = statuses.filter((status) => status === 200).length + codes.filter((code) => code === 0).length;
  test.equal(made, 3, 'three were made');
  test.equal((await existing()).length, 3, 'and are there');
  test.same(new Set(statuses.filter((status) => status !== 200)), new Set(statuses.includes(403) ? [403] : []));
  test.same(new Set(codes.filter((code) => code !== 0)), new Set(codes.includes(7) ? [7] : []));
});

t.test('a deleted collection makes room for one, and one that is there is answered by upstream', async (test) => {
  const [first = '', second = ''] = await existing();
  test.equal(await overRest('team-more'), 403);
  test.equal(await overRest(second), 409, 'it exists');
  test.equal((await ask(gateway, 'DELETE', `/collections/${first}`, headers)).status, 200);
  test.equal(await overRest('team-more'), 200);
  test.equal(await overGrpc('team-again'), 7);
});
