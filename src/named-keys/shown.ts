import { nearest } from '../config/nearest.ts';
import type { PolicySettings } from '../config/policy/file.ts';
import type { KeyChanged } from './store.ts';

type NamedKey = NonNullable<PolicySettings['namedKeys']>[number];
/** Uses of this gateway's processes, and of all gateways. */
export interface KeyUses {
  readonly snapshots: readonly { readonly usedKeys?: readonly (readonly [id: string, minute: number])[] }[];
  /** Minutes since 1970 by id. */
  readonly shared: ReadonlyMap<string, number> | undefined;
}

const MINUTE = 60_000;
/** Most keys on the page. */
const MAX_KEYS = 10_000;

/** Named keys with the minute of their last use; never a hash. @param now milliseconds since 1970 */
export function keysOf(keys: readonly NamedKey[], uses: KeyUses, now: number): object {
  const used = usedOf(uses);
  return {
    total: keys.length,
    keys: keys.slice(0, MAX_KEYS).map((key) => ({ ...rowOf(key, now), last_used: lastUsed(used, key) })),
  };
}

/** One key with all that may be shown; a text if none has this id. @param now milliseconds since 1970 */
export function keyOf(keys: readonly NamedKey[], id: string, uses: KeyUses, now: number): object | string {
  const key = keys.find((one) => one.id === id);
  if (key) return { ...detailsOf(key, now), last_used: lastUsed(usedOf(uses), key) };
  const ids = keys.map((one) => one.id);
  const meant = keys.find(({ name }) => name === id)?.id ?? nearest(id, ids);
  return `no key has this id${meant === undefined ? '' : `, did you mean \`${meant}\`?`}`;
}

/** A change that was made: the key, its new text if it has one, and whether it is in force. */
export function changedKeyOf(changed: Extract<KeyChanged, { ok: true }>, now: number): object {
  const { key, text, inForce, problems } = changed;
  return {
    ok: true,
    ...(text === undefined ? {} : { text }),
    ...{ key: detailsOf(key, now), in_force: inForce, problems },
  };
}

function rowOf(key: NamedKey, now: number): object {
  return {
    ...{ id: key.id, name: key.name, owner: key.owner ?? null, postfix: key.postfix ?? null },
    ...{ state: stateOf(key, now), expires_at: iso(key.expiresAt), networks: key.networks ?? null },
    ...(key.breakGlass && { break_glass: true }),
  };
}

function detailsOf(key: NamedKey, now: number): object {
  const { previous } = key;
  return {
    ...rowOf(key, now),
    ...{ not_before: iso(key.notBefore), access: key.access, limits: key.limits ?? null },
    tenant: key.tenant ?? null,
    former_until: previous && previous.until > now ? iso(previous.until) : null,
  };
}

function stateOf({ disabled, expiresAt, notBefore }: NamedKey, now: number): string {
  if (disabled) return 'disabled';
  if (expiresAt !== undefined && expiresAt <= now) return 'expired';
  return notBefore !== undefined && notBefore > now ? 'not yet valid' : 'active';
}

function usedOf({ snapshots, shared }: KeyUses): ReadonlyMap<string, number> {
  const used = new Map(shared);
  for (const [id, minute] of snapshots.flatMap(({ usedKeys = [] }) => usedKeys)) {
    used.set(id, Math.max(minute, used.get(id) ?? 0));
  }
  return used;
}

function lastUsed(used: ReadonlyMap<string, number>, { id }: NamedKey): string | null {
  const minute = used.get(id);
  return minute === undefined ? null : iso(minute * MINUTE);
}

function iso(milliseconds: number | undefined): string | null {
  return milliseconds === undefined ? null : new Date(milliseconds).toISOString();
}
