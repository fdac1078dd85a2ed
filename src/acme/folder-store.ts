import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { syncFolder, withLock, writeDurably } from '../config/files/locked-file.ts';
import { makeFolder } from '../config/files/make-folder.ts';
import { reason } from '../config/problem.ts';
import { ACME_CERTIFICATE } from '../config/sections/certificates.ts';
import { AcmeFault, LeaseLost } from './fault.ts';
import { type AcmeStore, LEASE_MS, type Lease, type RecordName } from './store.ts';

/** The file of each record. INVARIANT: no name comes from the configuration or from the network. */
const FILES: Readonly<Record<RecordName, string>> = {
  account: 'account.json',
  order: 'order.json',
  challenges: 'challenges.json',
  certificate: ACME_CERTIFICATE,
  schedule: 'schedule.json',
};
const OWNER_ONLY = 0o600;

const leaseShape = z.object({ holder: z.string(), fence: z.int().min(0), beat: z.int().min(0) });
type LeaseFile = z.output<typeof leaseShape>;

export interface FolderStoreOptions {
  /** Absolute. It is created with mode 0700 if it is not there. */
  readonly folder: string;
  /** Default: `LEASE_MS`. */
  readonly leaseMs?: number;
  /** Milliseconds of a monotonic clock. */
  readonly clock?: () => number;
}

/** Records as files of a folder, on one machine or on a file system that several share. */
export function createFolderStore(options: FolderStoreOptions): AcmeStore {
  return new FolderStore(options);
}

class FolderStore implements AcmeStore {
  readonly #folder: string;
  readonly #leaseMs: number;
  readonly #clock: () => number;
  readonly #id = randomUUID();
  /** The lease of this gateway, and when it was last confirmed. */
  #own: { readonly fence: number; beat: number; at: number } | undefined;
  /** The lease of another gateway as last seen, and since when it is unchanged: clocks of machines are not compared. */
  #seen: { readonly text: string; readonly since: number } | undefined;

  constructor({ folder, leaseMs = LEASE_MS, clock = () => performance.now() }: FolderStoreOptions) {
    this.#folder = folder;
    this.#leaseMs = leaseMs;
    this.#clock = clock;
  }

  readonly hold = (): Promise<Lease | undefined> =>
    this.#storage(async () => {
      await makeFolder(this.#folder, 0o700);
      const found = await this.#lease();
      if (!this.#isOwn(found) && !this.#isFree(found)) return undefined;
      const own = this.#own;
      if (this.#isOwn(found) && own && this.#clock() - own.at < this.#leaseMs / 3) return { fence: own.fence };
      return await this.#locked(() => this.#take(found));
    });

  readonly read = (names: readonly RecordName[]): Promise<ReadonlyMap<RecordName, string>> =>
    this.#storage(async () => {
      const texts = await Promise.all(names.map(async (name) => [name, await this.#text(FILES[name])] as const));
      return new Map(texts.flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const])));
    });

  readonly write = (lease: Lease, name: RecordName, text: string | null): Promise<void> =>
    this.#storage(() =>
      this.#locked(async () => {
        const found = await this.#lease();
        if (!this.#isOwn(found) || found?.fence !== lease.fence) throw new LeaseLost('another gateway is the leader');
        if (text === null) await rm(join(this.#folder, FILES[name]), { force: true });
        else await this.#replace(FILES[name], text, true);
        await syncFolder(this.#folder);
      }),
    );

  readonly release = async (): Promise<void> => {
    const own = this.#own;
    if (!own) return;
    this.#own = undefined;
    try {
      await this.#locked(async () => {
        const found = await this.#lease();
        if (found?.holder !== this.#id || found.fence !== own.fence) return;
        await this.#replace(LEASE, JSON.stringify({ holder: '', fence: own.fence, beat: 0 }), false);
      });
    } catch {
      // The lease ends by itself.
    }
  };

  /** Takes the lease, or confirms it. Within the lock. @param seen the lease on which the decision was made */
  async #take(seen: LeaseFile | undefined): Promise<Lease | undefined> {
    const found = await this.#lease();
    if (JSON.stringify(found) !== JSON.stringify(seen)) return undefined;
    const own = this.#isOwn(found) && this.#own;
    const next = own ? { fence: own.fence, beat: own.beat + 1 } : { fence: (found?.fence ?? 0) + 1, beat: 0 };
    await this.#replace(LEASE, JSON.stringify({ holder: this.#id, ...next }), false);
    this.#own = { ...next, at: this.#clock() };
    return { fence: next.fence };
  }

  #isOwn(found: LeaseFile | undefined): boolean {
    return this.#own !== undefined && found?.holder === this.#id && found.fence === this.#own.fence;
  }

  /** True = no gateway holds the lease, or its holder has not confirmed it for the time of a lease. */
  #isFree(found: LeaseFile | undefined): boolean {
    if (!found || found.holder === '') return true;
    const text = JSON.stringify(found);
    if (this.#seen?.text !== text) this.#seen = { text, since: this.#clock() };
    return this.#clock() - this.#seen.since >= this.#leaseMs;
  }

  async #lease(): Promise<LeaseFile | undefined> {
    const text = await this.#text(LEASE);
    if (text === undefined) return undefined;
    try {
      return leaseShape.parse(JSON.parse(text));
    } catch {
      // A lease that cannot be read belongs to no gateway.
      return undefined;
    }
  }

  async #text(file: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.#folder, file), 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** @param lasting waits until it is on the disk */
  async #replace(file: string, text: string, lasting: boolean): Promise<void> {
    const fresh = join(this.#folder, `${file}.new`);
    await rm(fresh, { force: true });
    if (lasting) {
      await writeDurably(fresh, text, {
        mode: OWNER_ONLY,
        uid: process.getuid?.() ?? 0,
        gid: process.getgid?.() ?? 0,
      });
    } else await writeFile(fresh, text, { mode: OWNER_ONLY, flag: 'wx' });
    await rename(fresh, join(this.#folder, file));
  }

  #locked<T>(work: () => Promise<T>): Promise<T> {
    return withLock(
      join(this.#folder, 'lock'),
      work,
      () => new AcmeFault('storage', `the folder \`${this.#folder}\` is locked by another program`),
    );
  }

  async #storage<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof AcmeFault || error instanceof LeaseLost) throw error;
      throw new AcmeFault('storage', `the folder \`${this.#folder}\` cannot be used: ${reason(error)}`);
    }
  }
}

const LEASE = 'lease.json';
