import t from 'tap';
import { GROUPS, groupOf } from '../../../src/observability/metrics/operation-group.ts';
import { GRPC_OPERATIONS, INTERNAL_GRPC, UNLISTED_GRPC } from '../../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../../src/operations/rest.ts';
import type { Operation } from '../../../src/policy/operation.ts';

/** The area a name begins with, and what it asks where that matters. */
const areaOf = ({ name, requires }: Operation): string => {
  const area = name.includes('/') ? name.slice(0, name.indexOf('/')) : name.replace(/^legacy\./, '').split('.')[0];
  const points = ['points', 'local_shard', 'qdrant.Points'].includes(area ?? '');
  return points ? `${area} ${requires.extras ? 'extras' : requires.level}` : `${area}`;
};

t.test('every row of both tables has the group its name and its requirements say', async (t) => {
  const groups: Record<string, string[]> = {};
  for (const row of [...REST_OPERATIONS, ...GRPC_OPERATIONS]) {
    const areas = groups[groupOf(row)] ?? [];
    groups[groupOf(row)] = areas;
    if (!areas.includes(areaOf(row))) areas.push(areaOf(row));
  }
  for (const areas of Object.values(groups)) areas.sort();
  t.strictSame(groups, {
    'points.read': ['local_shard read', 'points read', 'qdrant.Points read'],
    'points.write': ['local_shard write', 'points write', 'qdrant.Points write'],
    collections: [
      ...['aliases', 'collection', 'collections', 'index', 'qdrant.Collections', 'qdrant.Points extras'],
      ...['shard_keys', 'staging', 'vectors'],
    ],
    snapshots: ['partial_snapshots', 'qdrant.Snapshots', 'qdrant.StorageRead', 'shard_snapshots', 'snapshots'],
    cluster: ['cluster'],
    service: groups.service ?? [],
  });
  t.strictSame(
    (groups.service ?? []).filter((area) => /point|collection|snapshot|vector|shard/i.test(area)),
    [],
    'what is left to the service is none of the data',
  );
});

t.test('what the tables do not hold is unlisted', async (t) => {
  t.strictSame([UNLISTED_REST, UNLISTED_GRPC, INTERNAL_GRPC].map(groupOf), ['unlisted', 'unlisted', 'unlisted']);
  t.equal(GROUPS.length, 7);
});
