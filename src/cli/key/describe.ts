import type { KeyEntry } from '../../config/keys/schema.ts';
import { textTable } from '../frame/table.ts';

/** A key for lists: never its hash. */
export interface ShownKey {
  readonly id: string;
  readonly name: string;
  readonly owner: string | null;
  readonly postfix: string | null;
  readonly state: 'active' | 'disabled' | 'expired' | 'not yet valid';
  readonly expires_at: string;
  readonly not_before: string | null;
  readonly created_at: string | null;
  readonly networks: readonly string[] | null;
  readonly limits: readonly string[] | null;
  readonly tenant: KeyEntry['tenant'] | null;
  readonly access: KeyEntry['access'];
  /** `true` = each request needs a reason. */
  readonly break_glass: true | null;
  /** End of the former text after a rotation, while it is accepted. */
  readonly former_until: string | null;
  /** To the minute; absent = this store does not keep it. */
  readonly last_used?: string | null;
}

const MINUTE = 60_000;

/**
 * The key as lists show it.
 *
 * @param now milliseconds since 1970
 * @param used minutes of last use by id, where they are kept
 */
export function shownKey(entry: KeyEntry, now: number, used?: ReadonlyMap<string, number>): ShownKey {
  const { previous } = entry;
  return {
    ...{ id: entry.id, name: entry.name, owner: entry.owner ?? null, postfix: entry.postfix ?? null },
    ...{ state: stateOf(entry, now), expires_at: entry.expires_at, not_before: entry.not_before ?? null },
    ...{ created_at: entry.created_at ?? null, networks: entry.networks ?? null },
    ...{ limits: entry.limits ?? null, tenant: entry.tenant ?? null },
    ...{ access: entry.access, break_glass: entry.break_glass ? true : null },
    former_until: previous && Date.parse(previous.until) > now ? previous.until : null,
    ...(used && { last_used: usedAt(used.get(entry.id)) }),
  };
}

function usedAt(minute: number | undefined): string | null {
  return minute === undefined ? null : new Date(minute * MINUTE).toISOString();
}

function stateOf(
  { state, expires_at: expires, not_before: notBefore, ...entry }: KeyEntry,
  now: number,
): ShownKey['state'] {
  if (state === 'disabled') return 'disabled';
  if (expires !== 'never' && Date.parse(expires) <= now) return 'expired';
  const begins = notBefore ?? (entry.break_glass ? entry.created_at : undefined);
  return begins !== undefined && Date.parse(begins) > now ? 'not yet valid' : 'active';
}

/** A table of keys with a heading; one line without any. */
export function tableOf(keys: readonly ShownKey[]): string {
  if (keys.length === 0) return 'no keys\n';
  const withUse = keys.some(({ last_used: used }) => used !== undefined);
  const rows = keys.map(({ id, name, owner, postfix, state, expires_at: expires, break_glass: glass, ...more }) => {
    const told = glass ? `${state}, break-glass` : state;
    const first = [id, name, owner ?? '-', postfix === null ? '-' : `...${postfix}`, told, expires];
    return withUse ? [...first, more.last_used ?? '-'] : first;
  });
  return textTable(['ID', 'NAME', 'OWNER', 'POSTFIX', 'STATE', 'EXPIRES', ...(withUse ? ['LAST USED'] : [])], rows);
}

/** One key, a line for each field. */
export function detailsOf(key: ShownKey): string {
  return Object.entries(key)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}\n`)
    .join('');
}
