import { readFileSync } from 'node:fs';
import { type DescMessage, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf';
import type { Client } from '@grpc/grpc-js';
import * as q from '@qdrant/js-client-grpc';
import t, { type Test } from 'tap';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { GRPC_LEAKS } from '../cases/tenant-leaks/grpc.ts';
import { GRPC_KEPT, REST_KEPT } from '../cases/tenant-leaks/kept.ts';
import { AS_ALONE, type GrpcLeak, type RestLeak } from '../cases/tenant-leaks/leak.ts';
import { REST_READS } from '../cases/tenant-leaks/rest-reads.ts';
import { REST_WRITES } from '../cases/tenant-leaks/rest-writes.ts';
import { rawClient, unary } from '../support/clients/unary.ts';
import { startGateway } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { isolationPage, PAGE } from '../support/tenants/isolation-page.ts';
import { ALONE, FREE, KEPT_ENTRIES, SHARED, TENANT, TENANT_ENTRIES, Worlds } from '../support/tenants/worlds.ts';
import { makeToken } from '../support/tokens.ts';

/**
 * Attacks of a tenant on a collection that it shares. Each is sent to it, and to a collection that holds the tenant's points
 * only: answers, and what is stored afterwards, must not differ.
 */

const codes: (string | undefined)[] = [];
/** A real Qdrant in the place of the stand-in: its collections `docs`, `alone`, `open` and `secret` are made anew. */
const { QDRANT_URL: real, QDRANT_GRPC_URL: realGrpc = real?.replace(/\d+$/, '6334') } = process.env;
const settings = real ? { 'gateway.upstream.rest_url': real, 'gateway.upstream.grpc_url': realGrpc } : {};
/** Requests over REST that passed as bytes. */
let relayed = 0;
const observe = (exchange: Exchange): void => {
  codes.push(exchange.refusal?.code);
  if ('connection' in exchange) relayed += 1;
};
const shown = { tls: false, tenants: TENANT_ENTRIES, observers: [observe] };
const gateway = await startGateway({ ...shown, settings });
/** The same without the byte relay. */
const serving = await startGateway({
  ...shown,
  settings: { ...settings, 'gateway.rest.relay': false },
  before: gateway.upstream,
});
/** Fields are kept from the tenant, and its shard key is forced. */
const keeping = await startGateway({
  ...shown,
  tenants: KEPT_ENTRIES,
  settings,
  before: gateway.upstream,
});
t.teardown(async () => {
  await keeping.close();
  await serving.close();
  await gateway.close();
});
t.setTimeout(FILE_MS);
const worlds = new Worlds(real ? { restUrl: real } : gateway.upstream);
await worlds.others();
const access = [SHARED, ALONE, FREE].map((collection) => ({ collection, access: 'rw' }));
const token = makeToken({ access, tenant: TENANT });

/** An answer, and the code if the gateway refused. */
interface Told {
  readonly code: string | undefined;
  readonly answer: unknown;
}

/** What a clock, a counter or a name makes different. */
const APART: ReadonlySet<string> = new Set(['time', 'usage', 'operation_id', 'operationId', 'version', 'created_at']);

/** @param name of the collection, which stands for the other one, too */
function plain(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return value.map((item) => plain(item, name));
  if (typeof value === 'string') return value.replaceAll(name, '*');
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([key]) => !APART.has(key));
  return Object.fromEntries(members.map(([key, item]) => [key, plain(item, name)]));
}

/** On a connection of its own: what the relay hands over takes its connection along. */
async function askRest(url: string, { method, path, body }: RestLeak, collection: string): Promise<Told> {
  const target = `${url}/collections/${collection}${path}`;
  const type = body !== '' && { 'content-type': 'application/json' };
  const headers = { 'api-key': token, connection: 'close', ...type };
  const answer = await fetch(target, {
    method,
    headers,
    ...(body !== '' && { body: body.replaceAll('"docs"', `"${collection}"`) }),
  });
  const text = await answer.text();
  const read: unknown = /^[[{]/.test(text) ? JSON.parse(text) : text;
  return { code: codes.pop(), answer: { status: answer.status, body: plain(read, collection) } };
}

/** Types of message and answer by method. */
const TYPES: Readonly<Record<string, readonly [DescMessage, DescMessage]>> = {
  Search: [q.SearchPointsSchema, q.SearchResponseSchema],
  SearchBatch: [q.SearchBatchPointsSchema, q.SearchBatchResponseSchema],
  SearchGroups: [q.SearchPointGroupsSchema, q.SearchGroupsResponseSchema],
  Query: [q.QueryPointsSchema, q.QueryResponseSchema],
  QueryBatch: [q.QueryBatchPointsSchema, q.QueryBatchResponseSchema],
  QueryGroups: [q.QueryPointGroupsSchema, q.QueryGroupsResponseSchema],
  Recommend: [q.RecommendPointsSchema, q.RecommendResponseSchema],
  RecommendBatch: [q.RecommendBatchPointsSchema, q.RecommendBatchResponseSchema],
  RecommendGroups: [q.RecommendPointGroupsSchema, q.RecommendGroupsResponseSchema],
  Discover: [q.DiscoverPointsSchema, q.DiscoverResponseSchema],
  DiscoverBatch: [q.DiscoverBatchPointsSchema, q.DiscoverBatchResponseSchema],
  Scroll: [q.ScrollPointsSchema, q.ScrollResponseSchema],
  Count: [q.CountPointsSchema, q.CountResponseSchema],
  Facet: [q.FacetCountsSchema, q.FacetResponseSchema],
  SearchMatrixPairs: [q.SearchMatrixPointsSchema, q.SearchMatrixPairsResponseSchema],
  SearchMatrixOffsets: [q.SearchMatrixPointsSchema, q.SearchMatrixOffsetsResponseSchema],
  Get: [q.GetPointsSchema, q.GetResponseSchema],
  Upsert: [q.UpsertPointsSchema, q.PointsOperationResponseSchema],
  UpdateVectors: [q.UpdatePointVectorsSchema, q.PointsOperationResponseSchema],
  Delete: [q.DeletePointsSchema, q.PointsOperationResponseSchema],
  DeleteVectors: [q.DeletePointVectorsSchema, q.PointsOperationResponseSchema],
  SetPayload: [q.SetPayloadPointsSchema, q.PointsOperationResponseSchema],
  OverwritePayload: [q.SetPayloadPointsSchema, q.PointsOperationResponseSchema],
  DeletePayload: [q.DeletePayloadPointsSchema, q.PointsOperationResponseSchema],
  ClearPayload: [q.ClearPayloadPointsSchema, q.PointsOperationResponseSchema],
  UpdateBatch: [q.UpdateBatchPointsSchema, q.UpdateBatchResponseSchema],
  CreateFieldIndex: [q.CreateFieldIndexCollectionSchema, q.PointsOperationResponseSchema],
  DeleteFieldIndex: [q.DeleteFieldIndexCollectionSchema, q.PointsOperationResponseSchema],
};

const clients = { plain: rawClient(gateway), kept: rawClient(keeping) };
t.teardown(() => {
  for (const client of Object.values(clients)) client.close();
});

async function askGrpc(client: Client, { method, message }: GrpcLeak, collectionName: string): Promise<Told> {
  const [asked, answered] = TYPES[method] ?? [];
  if (!asked || !answered) throw new TypeError(`no types for ${method}`);
  const json = JSON.parse(
    JSON.stringify({ collectionName, ...message }).replaceAll('"docs"', `"${collectionName}"`),
  ) as JsonValue;
  const {
    code,
    message: text,
    body,
  } = await unary(client, `/qdrant.Points/${method}`, toBinary(asked, fromJson(asked, json)), { 'api-key': token });
  const read = code === 0 ? toJson(answered, fromBinary(answered, body)) : undefined;
  return { code: codes.pop(), answer: { code, text: plain(text, collectionName), body: plain(read, collectionName) } };
}

async function attack<L extends RestLeak | GrpcLeak>(
  t: Test,
  leaks: readonly L[],
  ask: (leak: L, collection: string) => Promise<Told>,
  kept = false,
) {
  await worlds.reset(kept);
  const before = await worlds.stored(SHARED);
  for (const leak of leaks) {
    codes.length = 0;
    const shared = await ask(leak, SHARED);
    const alone = await ask(leak, ALONE);
    const name = `${leak.channel}: ${leak.name}`;
    if (leak.result === AS_ALONE)
      t.equal(OURS.has(shared.code ?? ''), false, `${name}: is not refused (${shared.code})`);
    else t.equal(shared.code, leak.result, `${name}: is refused`);
    t.strictSame(shared, alone, `${name}: cannot tell the collections apart`);
    t.strictSame(await worlds.harm(before), [], `${name}: changes nothing of others`);
    if (CHANGES.has(leak.channel)) await worlds.reset(kept);
  }
}

/** Refusals that an attack must name as its result. */
const OURS: ReadonlySet<string> = new Set([
  ...[
    'tenant_value',
    'tenant_operation',
    'tenant_field',
    'tenant_lookup',
    'tenant_release',
    'tenant_form',
    'tenant_shard_key',
  ],
  ...['collection_not_listed', 'malformed_body', 'internal_fault', 'upstream_broken', 'collections_unknown'],
]);

/** Channels that write. */
const CHANGES: ReadonlySet<string> = new Set([
  ...['write', 'steal', 'overwrite', 'vectors', 'delete', 'payload', 'batch', 'forms', 'routes', 'read-only'],
]);

for (const [way, { rest }] of Object.entries({ relay: gateway, server: serving })) {
  const ask = (leak: RestLeak, collection: string): Promise<Told> => askRest(rest.url, leak, collection);
  t.test(`reads over REST (${way})`, async (t) => {
    relayed = 0;
    await attack(t, REST_READS, ask);
    if (way === 'relay') t.ok(relayed > REST_READS.length / 2, `${relayed} passed as bytes`);
    else t.equal(relayed, 0);
  });
  t.test(`writes over REST (${way})`, (t) => attack(t, REST_WRITES, ask));
}
const overGrpc =
  (client: Client) =>
  (leak: GrpcLeak, collection: string): Promise<Told> =>
    askGrpc(client, leak, collection);
t.test('over gRPC', (t) => attack(t, GRPC_LEAKS, overGrpc(clients.plain)));
t.test('kept fields and shard keys over REST', (t) =>
  attack(t, REST_KEPT, (leak, collection) => askRest(keeping.rest.url, leak, collection), true),
);
t.test('kept fields and shard keys over gRPC', (t) => attack(t, GRPC_KEPT, overGrpc(clients.kept), true));

t.test('each protocol is attacked in at least 150 ways', async (t) => {
  t.ok(REST_READS.length + REST_WRITES.length >= 150, `${REST_READS.length + REST_WRITES.length} over REST`);
  t.ok(GRPC_LEAKS.length >= 150, `${GRPC_LEAKS.length} over gRPC`);
});

t.test('the reference page lists every attack with its result', async (t) => {
  t.equal(readFileSync(PAGE, 'utf8'), isolationPage());
});
