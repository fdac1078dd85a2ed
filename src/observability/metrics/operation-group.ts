import type { Operation } from '../../policy/operation.ts';

/** Values of the label `group`. */
export const GROUPS = [
  'points.read',
  'points.write',
  'collections',
  'snapshots',
  'cluster',
  'service',
  'unlisted',
] as const;
export type Group = (typeof GROUPS)[number];

/** Groups by area, the first part of an operation's name; on gRPC by service. Other areas are `service`. */
const AREAS: ReadonlyMap<string, Group | 'points'> = new Map([
  ['points', 'points'],
  ['local_shard', 'points'],
  ['Points', 'points'],
  ['collections', 'collections'],
  ['collection', 'collections'],
  ['aliases', 'collections'],
  ['shard_keys', 'collections'],
  ['vectors', 'collections'],
  ['index', 'collections'],
  ['staging', 'collections'],
  ['Collections', 'collections'],
  ['snapshots', 'snapshots'],
  ['shard_snapshots', 'snapshots'],
  ['partial_snapshots', 'snapshots'],
  ['Snapshots', 'snapshots'],
  ['StorageRead', 'snapshots'],
  ['cluster', 'cluster'],
]);

/**
 * The group of a row of the operation tables. Points are `read` or `write` by the required level; operations on points
 * that require more (indexes, vector names) belong to the collection. Rows for routes outside of the tables are
 * `unlisted`.
 */
export function groupOf({ name, requires, unlisted }: Operation): Group {
  if (unlisted) return 'unlisted';
  const group = AREAS.get(areaOf(name)) ?? 'service';
  if (group !== 'points') return group;
  if (requires.extras) return 'collections';
  return requires.level === 'read' ? 'points.read' : 'points.write';
}

/** `points` of `points.query` and of `legacy.points.change`; `Points` of `qdrant.Points/Query`. */
function areaOf(name: string): string {
  const [service, method] = name.split('/');
  if (method !== undefined) return service?.split('.').at(-1) ?? '';
  const [first = '', second = ''] = name.split('.');
  return first === 'legacy' ? second : first;
}
