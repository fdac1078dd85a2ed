import type { Fleet } from '../gateway/fleet.ts';
import { entryId, isOver, type RevocationEntry } from '../revocation/entry.ts';
import type { Lifted, Revoked } from '../revocation/report.ts';

type AdminAct = Parameters<Fleet['act']>[0];
type Revoke = (request: unknown) => Promise<Revoked>;
type Lift = (request: unknown) => Promise<Lifted>;
type Entries = Map<string, RevocationEntry>;

export interface RevocationActsOptions {
  /** Records a revocation. Must not throw. */
  readonly act: (act: AdminAct) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Most revocations of one moment with an entry of their own; of more, the number is recorded. The same of lifts. */
const TOLD_ALONE = 1000;

/**
 * Records revocations that come in force from a file or from Redis, and those that are taken out there, so that those by the command
 * line and by another gateway are in the audit log. Those through this gateway's admin port are left out: they are recorded there.
 */
export class RevocationActs {
  readonly #options: RevocationActsOptions;
  readonly #ids = new WeakMap<RevocationEntry, string>();
  /** The entries in force; `undefined` = there were none yet. */
  #known: ReadonlyMap<string, RevocationEntry> | undefined;
  #underWay = 0;
  #fresh: Entries = new Map();
  #gone: Entries = new Map();

  constructor(options: RevocationActsOptions) {
    this.#options = options;
  }

  /** The entries in force. The first ones are nothing new. */
  inForce(entries: Iterable<RevocationEntry>): void {
    const all = new Map([...entries].map((entry) => [this.#idOf(entry), entry]));
    const known = this.#known;
    this.#known = all;
    if (!known) return;
    for (const [id, entry] of all) {
      if (!known.has(id) && !this.#gone.delete(id)) this.#fresh.set(id, entry);
    }
    const seconds = Math.floor(this.#options.now() / 1000);
    for (const [id, entry] of known) {
      // One that is over is cleared away, and revokes nothing before.
      if (!all.has(id) && !this.#fresh.delete(id) && !isOver(entry, seconds)) this.#gone.set(id, entry);
    }
    if (this.#underWay === 0) this.#tell();
  }

  /** The revocations through the admin port, whose entries are known by their end. */
  through(revoke: Revoke): Revoke {
    return (request) =>
      this.#during(async () => {
        const revoked = await revoke(request);
        if (revoked.ok) this.#fresh.delete(entryId(revoked.entry));
        return revoked;
      });
  }

  /** The lifts through the admin port. */
  throughLift(lift: Lift): Lift {
    return (request) =>
      this.#during(async () => {
        const lifted = await lift(request);
        if (lifted.ok) for (const entry of lifted.lifted) this.#gone.delete(entryId(entry));
        return lifted;
      });
  }

  async #during<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay += 1;
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#tell();
    }
  }

  #idOf(entry: RevocationEntry): string {
    const id = this.#ids.get(entry) ?? entryId(entry);
    this.#ids.set(entry, id);
    return id;
  }

  #tell(): void {
    const [fresh, gone] = [this.#fresh, this.#gone];
    this.#fresh = new Map();
    this.#gone = new Map();
    this.#tellOf('gateway_revoke', [...fresh.values()]);
    this.#tellOf('gateway_revoke_lift', [...gone.values()]);
  }

  #tellOf(method: AdminAct['method'], entries: readonly RevocationEntry[]): void {
    for (const entry of entries.slice(0, TOLD_ALONE)) this.#act(method, entry);
    const more = entries.length - TOLD_ALONE;
    if (more > 0) this.#act(method, { kind: 'more', value: String(more) });
  }

  #act(method: AdminAct['method'], revoked: NonNullable<AdminAct['revoked']>): void {
    const at = this.#options.now();
    this.#options.act({ method, by: 'revocations', remote: '', revoked, result: 'ok', at, durationMs: 0 });
  }
}
