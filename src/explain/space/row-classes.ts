import { effectOf } from '../../policy/guards/effects.ts';
import { expandGroups, NO_SNAPSHOTS } from '../../policy/operation-groups.ts';
import { fixedFacts, hasFacts, isUnread } from '../../policy/search/operations.ts';
import type { AccessSettings } from '../../policy/settings.ts';
import { tenantUse } from '../../policy/tenants/operations.ts';
import type { OfflineParts } from '../parts.ts';
import { mappingsIn } from './collections.ts';
import { ROWS, type Row } from './operations.ts';

/** Rows that no part of a decision tells apart. */
export interface RowClass {
  /** One of them, which stands for all. */
  readonly row: Row;
  readonly rows: readonly Row[];
}

/** The classes of all rows under these policies and keys. */
export function rowClasses(states: readonly OfflineParts[], rows: readonly Row[] = ROWS): readonly RowClass[] {
  const mentioned = new Set(states.flatMap(({ state: { policy } }) => mentionedOperations(policy)));
  const grouped = Map.groupBy(rows, (row) => signatureOf(row, mentioned));
  return [...grouped.values()].flatMap((all) => (all[0] ? [{ row: all[0], rows: all }] : []));
}

/** Rows whose body may carry a location, and those whose names alone decide elsewhere. */
const BY_NAME: ReadonlySet<string> = new Set([
  ...['snapshots.recover', 'shard_snapshots.recover', 'partial_snapshots.recover_from', 'legacy.collections.change'],
]);

/** All columns that a decision reads. Two rows of one signature are decided alike. */
function signatureOf({ protocol, operation }: Row, mentioned: ReadonlySet<string>): string {
  const { name, audit, requires, inspect, filter, manages, holds = [], unlisted, withheld } = operation;
  const inPath = 'method' in operation ? operation.path.includes('{collection}') : operation.collectionField;
  return JSON.stringify([
    ...[protocol, requires, inspect, filter, manages, unlisted, withheld, inPath, effectOf(operation)],
    ...[
      tenantUse(name),
      hasFacts(operation),
      isUnread(operation),
      fixedFacts(operation),
      BY_NAME.has(name) ? name : '',
    ],
    [name, ...(audit === null ? [] : [audit])].filter((one) => mentioned.has(one)),
    holds.filter((one) => mentioned.has(one)),
  ]);
}

function mentionedOperations(policy: OfflineParts['state']['policy']): readonly string[] {
  const lists = [
    ...policy.rules.flatMap(({ access, operations = [], deny_operations: denied = [], ready }) => [
      ...[...operations, ...denied, ...inAccess(access)],
      ...(ready === undefined ? [] : NO_SNAPSHOTS),
    ]),
    ...(policy.limits ?? []).flatMap(({ operations = [] }) => operations),
    ...[...(policy.namedKeys ?? []), ...mappingsIn(policy)].flatMap(({ access }) => inAccess(access)),
  ];
  return expandGroups(lists);
}

function inAccess(access: AccessSettings | undefined): readonly string[] {
  return access === undefined || typeof access === 'string' ? [] : access.flatMap(({ operations = [] }) => operations);
}
