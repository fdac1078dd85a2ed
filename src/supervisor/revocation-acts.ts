import type { Fleet } from '../gateway/fleet.ts';
import { entryId, MAX_ENTRIES, type RevocationEntry } from '../revocation/entry.ts';
import type { Revoked } from '../revocation/report.ts';

type AdminAct = Parameters<Fleet['act']>[0];
type Revoke = (request: unknown) => Promise<Revoked>;

export interface RevocationActsOptions {
  /** Records a revocation. Must not throw. */
  readonly act: (act: AdminAct) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Most revocations of one moment with an entry of their own; of more, the number is recorded. */
const TOLD_ALONE = 1000;

/**
 * Records revocations that come in force from a file or from Redis, so that those by the command line and by another gateway are
 * in the audit log. Revocations through this gateway's admin port are left out: they are recorded there.
 */
export class RevocationActs {
  readonly #options: RevocationActsOptions;
  readonly #seen = new WeakSet<RevocationEntry>();
  /** Ids of all entries so far; `undefined` = none were in force yet. */
  #known: Set<string> | undefined;
  #underWay = 0;
  #fresh = new Map<string, RevocationEntry>();

  constructor(options: RevocationActsOptions) {
    this.#options = options;
  }

  /** The entries in force. The first ones are nothing new. */
  inForce(entries: Iterable<RevocationEntry>): void {
    const all = [...entries];
    const known = this.#known;
    for (const entry of all) {
      if (this.#seen.has(entry)) continue;
      this.#seen.add(entry);
      const id = entryId(entry);
      if (known && !known.has(id)) this.#fresh.set(id, entry);
      known?.add(id);
    }
    // Ids of entries that are gone are forgotten now and then.
    if (!known || known.size > 2 * MAX_ENTRIES) this.#known = new Set(all.map(entryId));
    if (this.#underWay === 0) this.#tell();
  }

  /** The revocations through the admin port, whose entries are known by their end. */
  through(revoke: Revoke): Revoke {
    return async (request) => {
      this.#underWay += 1;
      try {
        const revoked = await revoke(request);
        if (revoked.ok) this.#fresh.delete(entryId(revoked.entry));
        return revoked;
      } finally {
        this.#underWay -= 1;
        if (this.#underWay === 0) this.#tell();
      }
    };
  }

  #tell(): void {
    const fresh = [...this.#fresh.values()];
    this.#fresh = new Map();
    for (const entry of fresh.slice(0, TOLD_ALONE)) this.#act(entry);
    if (fresh.length > TOLD_ALONE) this.#act({ kind: 'more', value: String(fresh.length - TOLD_ALONE) });
  }

  #act(revoked: NonNullable<AdminAct['revoked']>): void {
    const at = this.#options.now();
    this.#options.act({
      ...{ method: 'gateway_revoke', by: 'revocations', remote: '', revoked, result: 'ok', at, durationMs: 0 },
    });
  }
}
