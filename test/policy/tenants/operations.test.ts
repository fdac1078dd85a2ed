import t from 'tap';
import { GRPC_OPERATIONS, INTERNAL_GRPC, UNLISTED_GRPC } from '../../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../../src/operations/rest.ts';
import type { Operation } from '../../../src/policy/operation.ts';
import { type TenantUse, tenantRows, tenantUse } from '../../../src/policy/tenants/operations.ts';

/** What becomes of every row of the access matrix for a tenant. A new row fails here until it has been thought about. */

/** Refused on purpose. Open rows never meet a principal. */
const REFUSED: readonly (readonly [why: string, rows: string])[] = [
  ['tells about, or changes, the whole server', 'service.telemetry service.metrics service.stacktrace'],
  ['tells about, or changes, the whole server', 'service.logger.get service.logger.update issues.list issues.clear'],
  ['tells about, or changes, the whole server', 'debugger.get debugger.update profiler.slow_requests'],
  ['tells about, or changes, the whole server', 'profiler.consensus_lag audit.logs quotas.get quotas.update'],
  ['belongs to the cluster', 'cluster.status cluster.recover cluster.remove_peer cluster.telemetry'],
  ['belongs to the cluster', 'cluster.metadata.keys cluster.metadata.get cluster.metadata.put'],
  ['belongs to the cluster', 'cluster.metadata.delete collections.cluster.get collections.cluster.update'],
  ['belongs to the cluster', 'qdrant.Collections/CollectionClusterInfo'],
  ['belongs to the cluster', 'qdrant.Collections/UpdateCollectionClusterSetup'],
  ['changes a collection of all tenants', 'collections.create collections.update collections.delete'],
  ['changes a collection of all tenants', 'collection.truncate_wal aliases.update'],
  ['changes a collection of all tenants', 'vectors.create_name vectors.delete_name index.create index.delete'],
  ['changes a collection of all tenants', 'qdrant.Collections/Create qdrant.Collections/Update'],
  ['changes a collection of all tenants', 'qdrant.Collections/Delete qdrant.Collections/UpdateAliases'],
  ['changes a collection of all tenants', 'qdrant.Points/CreateFieldIndex qdrant.Points/DeleteFieldIndex'],
  ['changes a collection of all tenants', 'qdrant.Points/CreateVectorName qdrant.Points/DeleteVectorName'],
  ['tells the numbers of all tenants', 'collections.optimizations collections.memory'],
  ['shard keys may be those of other tenants', 'shard_keys.list shard_keys.create shard_keys.delete'],
  ['shard keys may be those of other tenants', 'qdrant.Collections/ListShardKeys'],
  ['shard keys may be those of other tenants', 'qdrant.Collections/CreateShardKey qdrant.Collections/DeleteShardKey'],
  ['carries whole collections', 'snapshots.list snapshots.create snapshots.upload snapshots.recover'],
  ['carries whole collections', 'snapshots.download snapshots.delete'],
  ['carries whole collections', 'snapshots.full.list snapshots.full.create snapshots.full.download'],
  ['carries whole collections', 'snapshots.full.delete shard_snapshots.list shard_snapshots.create'],
  ['carries whole collections', 'shard_snapshots.stream shard_snapshots.recover shard_snapshots.upload'],
  ['carries whole collections', 'shard_snapshots.download shard_snapshots.delete'],
  ['carries whole collections', 'partial_snapshots.create partial_snapshots.recover'],
  ['carries whole collections', 'partial_snapshots.recover_from partial_snapshots.manifest'],
  ['carries whole collections', 'qdrant.Snapshots/Create qdrant.Snapshots/List qdrant.Snapshots/Delete'],
  ['carries whole collections', 'qdrant.Snapshots/CreateFull qdrant.Snapshots/ListFull qdrant.Snapshots/DeleteFull'],
  ['reads the files of a collection', 'qdrant.StorageRead/ListFiles qdrant.StorageRead/FileExists'],
  ['reads the files of a collection', 'qdrant.StorageRead/FileLength qdrant.StorageRead/ReadBytes'],
  ['reads the files of a collection', 'qdrant.StorageRead/ReadBytesStream qdrant.StorageRead/ReadWhole'],
  ['reads the files of a collection', 'qdrant.StorageRead/ReadBatch qdrant.StorageRead/ReadMulti'],
  ['belongs to one shard', 'local_shard.get local_shard.scroll local_shard.count local_shard.cleanup'],
  ['belongs to one shard', 'staging.shard_wal staging.recovery_point staging.debug legacy.local_shard.delete'],
  ['was removed, and its bodies have other forms', 'legacy.locks.get legacy.locks.set legacy.staging.points'],
  ['was removed, and its bodies have other forms', 'legacy.collections.change legacy.points.change'],
  ['is in no table', 'unlisted internal'],
];

const ROWS: readonly Operation[] = [
  ...[...REST_OPERATIONS, UNLISTED_REST],
  ...[...GRPC_OPERATIONS, UNLISTED_GRPC, INTERNAL_GRPC],
];
const named = ROWS.filter(({ requires }) => requires.scope !== 'public').map(({ name }) => name);
const refused = REFUSED.flatMap(([, rows]) => rows.split(' '));

t.test('every row that meets a principal is used, or refused on purpose, and none is both', async (t) => {
  t.strictSame([...new Set(named)].sort(), [...new Set([...tenantRows(), ...refused])].sort());
  t.strictSame(
    refused.filter((row) => tenantUse(row) !== undefined),
    [],
  );
});

t.test('what passes as it is tells names of collections at most', async (t) => {
  const passing = ROWS.filter(({ name }) => tenantUse(name) === 'pass');
  for (const { name, requires, filter, inspect, audit } of passing) {
    const told = filter ?? (audit === 'collection_exists' ? 'exists' : requires.scope);
    t.match(told, /^(collections-list|aliases-list|exists|authenticated)$/, name);
    t.equal(inspect, undefined, name);
    t.equal(requires.level, 'read', name);
  }
});

t.test('every operation on the points of a collection is made anew, on both protocols', async (t) => {
  const rewritten = ROWS.filter(({ name }) => tenantUse(name) === 'rewrite');
  const byProtocol = (grpc: boolean) =>
    rewritten.filter(({ name }) => name.includes('/') === grpc).map(({ audit }) => audit ?? 'batch');
  t.strictSame(new Set(byProtocol(true)), new Set(byProtocol(false)));
  t.ok(rewritten.every(({ requires }) => requires.scope === 'collection'));
});

const USES: readonly (readonly [row: string, use: TenantUse | undefined])[] = [
  ['points.query', 'rewrite'],
  ['collections.list', 'pass'],
  ['points.Query', undefined],
  ['points.query2', undefined],
  ['toString', undefined],
  ['', undefined],
];
for (const [row, use] of USES) {
  t.test(`\`${row}\` is ${use ?? 'refused'}`, async (t) => t.equal(tenantUse(row), use));
}
