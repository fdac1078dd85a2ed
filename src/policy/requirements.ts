import { type Access, type CollectionMode, isTrusted, lists, modeOn } from './access.ts';
import {
  type Denial,
  GLOBAL_MANAGE_REQUIRED,
  GLOBAL_REQUIRED,
  MANAGE_REQUIRED,
  notListed,
  onlyPoints,
  writeRequired,
} from './denial.ts';
import type { Requirements } from './operation.ts';

/**
 * Checks `requires` on all collections at once. `undefined` = met.
 *
 * Upstream: a global `r` passes reads with or without extras and fails write and manage with one text.
 */
export function meetsGlobally(access: Access, requires: Requirements): Denial | undefined {
  if (access.kind === 'list') return GLOBAL_REQUIRED;
  if (isTrusted(access) || requires.level === 'read') return undefined;
  return GLOBAL_MANAGE_REQUIRED;
}

/**
 * Checks `requires` on `collection`. `undefined` = met.
 *
 * Upstream: the first failing part decides the text: membership, extras, write, manage.
 */
export function meetsOnCollection(access: Access, requires: Requirements, collection: string): Denial | undefined {
  if (access.kind === 'global') return meetsGlobally(access, requires);
  const mode: CollectionMode | undefined = modeOn(access, collection);
  if (mode === undefined) return notListed(collection);
  if (requires.extras && (mode === 'prw' || mode === 'pr')) return onlyPoints(collection);
  if (requires.level !== 'read' && (mode === 'r' || mode === 'pr')) return writeRequired(collection);
  if (requires.level === 'manage') return MANAGE_REQUIRED;
  return undefined;
}

/**
 * The denial of the first reference, in checking order, that `access` does not list. Any mode is sufficient; a global
 * access may name any collection.
 */
export function meetsOnReferences(access: Access, references: readonly string[]): Denial | undefined {
  for (const name of references) if (!lists(access, name)) return notListed(name);
  return undefined;
}
