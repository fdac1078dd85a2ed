import t from 'tap';
import { GRPC_OPERATIONS, INTERNAL_GRPC, UNLISTED_GRPC } from '../../src/operations/grpc.ts';
import { isRepeatable, placementOf } from '../../src/operations/placement.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../src/operations/rest.ts';

const ALL = [...REST_OPERATIONS, ...GRPC_OPERATIONS, UNLISTED_REST, UNLISTED_GRPC, INTERNAL_GRPC];

t.test('what lies on the disk of a node, or is about it, has one node', async (t) => {
  const kept = /snapshots?|logger|debugger|telemetry|metrics|stacktrace|issues|profiler|locks|local_shard|StorageRead/i;
  for (const one of ALL) if (kept.test(one.name)) t.equal(placementOf(one), 'sticky', one.name);
});

t.test('what is in no table has one node, and is never sent twice', async (t) => {
  for (const one of [UNLISTED_REST, UNLISTED_GRPC, INTERNAL_GRPC, { ...UNLISTED_REST, name: 'points.tomorrow' }]) {
    t.equal(placementOf(one), 'sticky');
    t.notOk(isRepeatable(one));
  }
});

t.test('points and collections are for all nodes, in both protocols', async (t) => {
  const data = /^(points\.|collections\.(list|get|create|update|delete|exists)|qdrant\.Points)/;
  for (const one of ALL) if (data.test(one.name)) t.equal(placementOf(one), 'balanced', one.name);
});

t.test('only reads may be sent again', async (t) => {
  for (const one of ALL.filter(isRepeatable)) {
    t.equal(one.requires.level, 'read', one.name);
    t.notOk(one.long, one.name);
  }
  t.ok(ALL.filter(isRepeatable).length > 50);
});
