import type { DenialCode } from '../policy/denial-codes.ts';
import { judgeCell } from './cell.ts';
import { type DecidedBy, decidedBy } from './decided-by.ts';
import type { OfflineParts } from './parts.ts';
import { collectionClasses } from './space/collections.ts';
import { isOnAliases, isOnCollection, type Row } from './space/operations.ts';
import type { PrincipalClass } from './space/principal-class.ts';
import { principalClasses } from './space/principals.ts';
import { verdictOf } from './space/verdict.ts';

/** The verdict on one caller, or one class of callers. Plain data: the form of `--json`. */
export interface WhoCan {
  readonly caller: string;
  readonly kind: PrincipalClass['kind'];
  readonly key: string;
  /** The name of the row of the access matrix, and its protocol. */
  readonly operation: string;
  readonly protocol: 'rest' | 'grpc';
  readonly verdict: 'allowed' | 'denied';
  readonly code?: DenialCode;
  readonly decided_by: DecidedBy;
  /** Tenants, bounds, limits and shadows of a permitted request. */
  readonly conditions: readonly string[];
}

/**
 * The verdict on every caller of the configuration, for each row of an operation.
 *
 * @param collection `undefined` = the operation is on none
 */
export async function whoCan(
  parts: OfflineParts,
  rows: readonly Row[],
  collection: string | undefined,
): Promise<{ readonly callers: readonly WhoCan[]; readonly classes: readonly PrincipalClass[] }> {
  const found: WhoCan[] = [];
  const classes = principalClasses([parts]);
  const [anywhere] = collectionClasses([]);
  const name = collection ?? anywhere?.name ?? '';
  for (const { label, kind, key, identify, headersFor } of classes) {
    const identity = await identify(parts, name);
    const headers = await headersFor(parts, name);
    for (const row of rows) {
      const cell = { row, ...namesOf(row, collection) };
      const exchange = judgeCell(parts, identity, cell);
      const { ending } = exchange;
      if (!ending) throw new TypeError('a cell was judged without an end');
      const { allowed, code, conditions } = verdictOf(parts, identity, cell);
      found.push({
        ...{ caller: label, kind, key, operation: row.operation.name, protocol: row.protocol },
        verdict: allowed ? 'allowed' : 'denied',
        ...(code !== undefined && { code }),
        decided_by: decidedBy({ exchange, ending, headers }, parts),
        conditions,
      });
    }
  }
  return { callers: found, classes };
}

/** Of a change of aliases, both names are the collection. */
function namesOf(row: Row, collection: string | undefined) {
  if (isOnAliases(row))
    return { collection: undefined, others: collection === undefined ? [] : [collection, collection] };
  return { collection: isOnCollection(row) ? collection : undefined, others: [] };
}
