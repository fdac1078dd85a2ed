import type { Exchange } from '../../exchange/exchange.ts';
import type { Principal } from '../../identity/principal.ts';

/** A principal with a request within the last hour. */
export interface SeenPrincipal {
  /** Id of the key that authenticated it or signed its token. */
  readonly key: string;
  readonly subject: string | undefined;
  readonly protocol: 'rest' | 'grpc';
  readonly allowed: number;
  readonly denied: number;
  /** Milliseconds since 1970. */
  readonly lastSeen: number;
  readonly lastRemote: string;
}

/** Principals of the last hour, in intervals of five minutes. */
export interface PrincipalsSeen {
  /** @param now milliseconds since 1970 */
  readonly count: (exchange: Exchange, allowed: boolean, now: number) => void;
  /** Most recent first. */
  readonly snapshot: (now: number) => readonly SeenPrincipal[];
}

const BUCKET_MS = 300_000;
const BUCKETS = 12;
/** Longest subject shown, in characters. A subject is text of the signer. */
const MAX_SUBJECT = 128;

class Entry {
  readonly key: string;
  readonly subject: string | undefined;
  readonly protocol: 'rest' | 'grpc';
  readonly #allowed = new Float64Array(BUCKETS);
  readonly #denied = new Float64Array(BUCKETS);
  #bucket = 0;
  /** False = the entry has been evicted. */
  kept = true;
  lastSeen = 0;
  lastRemote = '';

  constructor(key: string, subject: string | undefined, protocol: 'rest' | 'grpc') {
    this.key = key;
    this.subject = subject;
    this.protocol = protocol;
  }

  add(allowed: boolean, now: number, remote: string): void {
    this.#moveTo(Math.floor(now / BUCKET_MS));
    const counts = allowed ? this.#allowed : this.#denied;
    const at = this.#bucket % BUCKETS;
    counts[at] = (counts[at] ?? 0) + 1;
    this.lastSeen = now;
    this.lastRemote = remote;
  }

  snapshot(now: number): SeenPrincipal {
    this.#moveTo(Math.floor(now / BUCKET_MS));
    const { key, subject, protocol, lastSeen, lastRemote } = this;
    return { key, subject, protocol, allowed: sum(this.#allowed), denied: sum(this.#denied), lastSeen, lastRemote };
  }

  /** Clears intervals older than an hour. */
  #moveTo(bucket: number): void {
    const steps = Math.min(bucket - this.#bucket, BUCKETS);
    for (let i = 0; i < steps; i += 1) {
      this.#allowed[(bucket - i) % BUCKETS] = 0;
      this.#denied[(bucket - i) % BUCKETS] = 0;
    }
    if (bucket > this.#bucket) this.#bucket = bucket;
  }
}

const sum = (counts: Float64Array): number => counts.reduce((total, count) => total + count, 0);

/** Keeps at most `max` principals; beyond that the least recently seen one is evicted. */
export function createPrincipalsSeen(max: number): PrincipalsSeen {
  // One principal object serves all requests of a credential, so the name is built once.
  const known = { rest: new WeakMap<Principal, Entry>(), grpc: new WeakMap<Principal, Entry>() };
  const entries = new Map<string, Entry>();

  const entryOf = (principal: Principal, protocol: 'rest' | 'grpc'): Entry => {
    const subject = principal.subject?.slice(0, MAX_SUBJECT);
    const name = JSON.stringify([protocol, principal.keyId, subject]);
    let entry = entries.get(name);
    if (!entry) {
      if (entries.size >= max) forgetOldest(entries);
      entry = new Entry(principal.keyId, subject, protocol);
      entries.set(name, entry);
    }
    known[protocol].set(principal, entry);
    return entry;
  };

  return {
    count({ principal, protocol, remote }, allowed, now) {
      if (!principal) return;
      const found = known[protocol].get(principal);
      const entry = found?.kept ? found : entryOf(principal, protocol);
      entry.add(allowed, now, remote);
    },
    snapshot(now) {
      for (const [name, entry] of entries) if (now - entry.lastSeen > BUCKET_MS * BUCKETS) forget(entries, name);
      return [...entries.values()]
        .map((entry) => entry.snapshot(now))
        .filter(({ allowed, denied }) => allowed + denied > 0)
        .sort((a, b) => b.lastSeen - a.lastSeen);
    },
  };
}

function forgetOldest(entries: Map<string, Entry>): void {
  let oldest: [name: string, entry: Entry] | undefined;
  for (const one of entries) if (!oldest || one[1].lastSeen < oldest[1].lastSeen) oldest = one;
  if (oldest) forget(entries, oldest[0]);
}

function forget(entries: Map<string, Entry>, name: string): void {
  const entry = entries.get(name);
  if (entry) entry.kept = false;
  entries.delete(name);
}

/** Merges the lists of several processes into one of at most `max`. */
export function mergeSeen(lists: readonly (readonly SeenPrincipal[])[], max: number): SeenPrincipal[] {
  const merged = new Map<string, SeenPrincipal>();
  for (const one of lists.flat()) {
    const name = JSON.stringify([one.protocol, one.key, one.subject]);
    const other = merged.get(name);
    const latest = !other || one.lastSeen >= other.lastSeen ? one : other;
    merged.set(name, {
      ...latest,
      allowed: one.allowed + (other?.allowed ?? 0),
      denied: one.denied + (other?.denied ?? 0),
    });
  }
  return [...merged.values()].sort((a, b) => b.lastSeen - a.lastSeen).slice(0, max);
}
