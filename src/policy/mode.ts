import type { CollectionMode } from './access.ts';
import { type Denial, MANAGE_REQUIRED, notListed, onlyPoints, writeRequired } from './denial.ts';
import type { Requirements } from './operation.ts';

/**
 * Checks `requires` under the mode of one collection. `undefined` = met.
 *
 * Upstream: the first failing part decides the text: membership, extras, write, manage.
 */
export function meetsMode(
  mode: CollectionMode | undefined,
  requires: Requirements,
  collection: string,
): Denial | undefined {
  if (mode === undefined) return notListed(collection);
  if (requires.extras && (mode === 'prw' || mode === 'pr')) return onlyPoints(collection);
  if (requires.level !== 'read' && (mode === 'r' || mode === 'pr')) return writeRequired(collection);
  if (requires.level === 'manage') return MANAGE_REQUIRED;
  return undefined;
}
