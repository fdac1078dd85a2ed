import type { Operation } from '../policy/operation.ts';
import { OPERATION_GROUPS } from '../policy/operation-groups.ts';
import { GRPC_OPERATIONS, UNLISTED_GRPC } from './grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from './rest.ts';

/**
 * Where a grant may name an operation.
 * - `collection`: in a grant for collections
 * - `read`: in a grant without collections, since it reads what belongs to none
 * - `none`: in neither, since it needs global manage
 * - `open`: nowhere needed: every principal may
 */
export type OperationReach = 'collection' | 'read' | 'none' | 'open';

const ROWS: readonly Operation[] = [...REST_OPERATIONS, UNLISTED_REST, ...GRPC_OPERATIONS, UNLISTED_GRPC];

/**
 * All operation names that a rule or a grant may use, with their reach: names of rows (one row of one protocol), names of
 * upstream's audit log (the operation on both protocols), and ready groups.
 */
export const OPERATION_NAMES: ReadonlyMap<string, OperationReach> = new Map([
  ...ROWS.flatMap((row) => namesOf(row).map((name) => [name, reachOf(row)] as const)),
  ...Object.entries(OPERATION_GROUPS).map(([group, members]) => [group, reachOfGroup(members)] as const),
]);

function namesOf({ name, audit }: Operation): readonly string[] {
  return audit === null ? [name] : [audit, name];
}

function reachOf({ requires: { scope, level }, unlisted }: Operation): OperationReach {
  if (scope === 'collection') return 'collection';
  if (scope !== 'global') return 'open';
  return level === 'read' && !unlisted ? 'read' : 'none';
}

function reachOfGroup(members: readonly string[]): OperationReach {
  const row = ROWS.find((one) => namesOf(one).some((name) => members.includes(name)));
  return row ? reachOf(row) : 'none';
}
