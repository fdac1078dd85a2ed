import type { Fleet } from '../gateway/fleet.ts';
import type { KeyChanged, KeyRequest } from '../named-keys/store.ts';
import type { NamedKeySettings } from '../policy/named-key.ts';

type AdminAct = Parameters<Fleet['act']>[0];

/** Where changes of named keys come from, if not through the admin port of this gateway. */
export type KeySource = 'keys_file' | 'keys_redis';

export interface KeyActsOptions {
  /** Records a change. Must not throw. */
  readonly act: (act: AdminAct) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Most changes of one moment with an entry of their own: more would take the place of other entries in the queue. */
const TOLD_ALONE = 100;

type Change = (request: KeyRequest) => Promise<KeyChanged>;
type Counted = NonNullable<AdminAct['changedKeys']>[number];
type KeyChange = Pick<AdminAct, 'method' | 'ended' | 'target'>;
type Known = ReadonlyMap<string, NamedKeySettings>;

/**
 * Finds what changed between the named keys in force and the next ones, and records it, so that changes by the command line, by
 * another gateway and by hand are in the audit log. Changes through this gateway's admin port are left out: they are
 * recorded there, with the address that asked for them.
 */
export class KeyActs {
  readonly #options: KeyActsOptions;
  #known: Known | undefined;
  #next: { readonly keys: Known; readonly by: KeySource } | undefined;
  /** Changes through the admin port that are under way, and the keys that they made; `undefined` = removed. */
  #underWay = 0;
  readonly #own = new Map<string, string | undefined>();

  constructor(options: KeyActsOptions) {
    this.#options = options;
  }

  /** The keys that are in force now. The first ones are nothing new. */
  inForce(keys: readonly NamedKeySettings[], by: KeySource): void {
    this.#next = { keys: new Map(keys.map((key) => [key.id, key])), by };
    if (this.#underWay === 0) this.#tell();
  }

  /** The changes through the admin port, whose keys are known by their end. */
  through(change: Change): Change {
    return async (request) => {
      this.#underWay += 1;
      try {
        const changed = await change(request);
        if (changed.ok)
          this.#own.set(changed.key.id, request.change === 'delete' ? undefined : JSON.stringify(changed.key));
        return changed;
      } finally {
        this.#underWay -= 1;
        if (this.#underWay === 0) this.#tell();
      }
    };
  }

  #tell(): void {
    if (!this.#next) return;
    const { keys, by } = this.#next;
    const before = this.#known;
    this.#known = keys;
    this.#next = undefined;
    if (before) this.#record(this.#changes(before, keys), by);
  }

  /** Changes from elsewhere that make the one set the other. */
  #changes(before: Known, keys: Known): readonly KeyChange[] {
    const at = this.#options.now();
    const found: KeyChange[] = [];
    for (const id of new Set([...before.keys(), ...keys.keys()])) {
      const [old, next] = [before.get(id), keys.get(id)];
      if (old === next) continue;
      const text = next && JSON.stringify(next);
      if (this.#own.has(id) && this.#own.get(id) === text) {
        this.#own.delete(id);
        continue;
      }
      if (old && text === JSON.stringify(old)) continue;
      const target = { id, name: (next ?? old)?.name ?? '' };
      for (const made of changesOf(old, next, at)) found.push({ ...made, target });
    }
    return found;
  }

  #record(changes: readonly KeyChange[], by: KeySource): void {
    const rest = { by, remote: '', result: 'ok', at: this.#options.now(), durationMs: 0 } as const;
    for (const change of changes.slice(0, TOLD_ALONE)) this.#options.act({ ...change, ...rest });
    if (changes.length <= TOLD_ALONE) return;
    const counts = new Map<string, Counted>();
    for (const { method, ended } of changes.slice(TOLD_ALONE)) {
      const kind = `${method} ${ended}`;
      counts.set(kind, { method, ...(ended && { ended }), count: (counts.get(kind)?.count ?? 0) + 1 });
    }
    const changedKeys = [...counts.values()];
    this.#options.act({ method: 'gateway_keys_change', changedKeys, ...rest });
  }
}

/** The changes that make one key the other. @param now milliseconds since 1970 */
export function changesOf(
  old: NamedKeySettings | undefined,
  next: NamedKeySettings | undefined,
  now: number,
): readonly Pick<AdminAct, 'method' | 'ended'>[] {
  if (!old || !next) return old ? [{ method: 'gateway_key_delete' }] : [{ method: 'gateway_key_create' }];
  const made: Pick<AdminAct, 'method' | 'ended'>[] = [];
  if (differ(old.hash, next.hash)) made.push({ method: 'gateway_key_rotate' });
  if (old.disabled !== next.disabled)
    made.push({ method: next.disabled ? 'gateway_key_disable' : 'gateway_key_enable' });
  if (old.expiresAt !== next.expiresAt) {
    const ended = next.expiresAt !== undefined && next.expiresAt <= now;
    made.push({ method: 'gateway_key_expire', ...(ended && { ended }) });
  }
  if (differ(restOf(old), restOf(next))) made.push({ method: 'gateway_key_change' });
  return made;
}

/** The other fields of a key: a rotation changes its postfix and its former text as well. */
function restOf({ hash, postfix, previous, disabled, expiresAt, ...rest }: NamedKeySettings): object {
  void [hash, postfix, previous, disabled, expiresAt];
  return rest;
}

function differ(left: object, right: object): boolean {
  return JSON.stringify(left) !== JSON.stringify(right);
}
