import type { NamedKeySettings, NamedKeysInForce } from '../../policy/named-key.ts';

/** A change of a set of named keys, so that a change of one key does not send thousands. */
export interface NamedKeysChange {
  readonly set: readonly NamedKeySettings[];
  /** Ids. */
  readonly removed: readonly string[];
  readonly unknown: boolean;
}

/** The change from one set to the other. Unchanged keys are the same objects in both. */
export function changeOf(before: NamedKeysInForce | undefined, after: NamedKeysInForce): NamedKeysChange {
  const old = new Map(before?.keys.map((key) => [key.id, key]));
  const ids = new Set(after.keys.map(({ id }) => id));
  return {
    set: after.keys.filter((key) => old.get(key.id) !== key),
    removed: [...old.keys()].filter((id) => !ids.has(id)),
    unknown: after.unknown,
  };
}

/** The set after a change. Unchanged keys stay the same objects. */
export function changedBy(before: NamedKeysInForce | undefined, change: NamedKeysChange): NamedKeysInForce {
  const keys = new Map(before?.keys.map((key) => [key.id, key]));
  for (const id of change.removed) keys.delete(id);
  for (const key of change.set) keys.set(key.id, key);
  return { keys: [...keys.values()], unknown: change.unknown };
}
