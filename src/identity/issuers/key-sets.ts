import { createPublicKey, type KeyObject } from 'node:crypto';
import type { IssuerAlgorithm, IssuerSettings, KeySetInForce, PublishedKey } from '../../policy/mapping/issuer.ts';

/** A key of a set, imported when it is first needed. */
export interface IssuerKey {
  readonly published: PublishedKey;
  /** `undefined` = not imported yet; null = it cannot be used. */
  object: KeyObject | null | undefined;
}

/** One set, ready for look-ups. */
interface ReadySet {
  readonly url: string | undefined;
  /** By `kid`; keys without one are under the empty text. */
  readonly byId: ReadonlyMap<string, readonly IssuerKey[]>;
  readonly keys: ReadonlySet<IssuerKey>;
  /** Milliseconds since 1970 until when it is used. */
  readonly until: number;
}

/** Keys for one token. */
export type Found = readonly IssuerKey[] | 'unusable';

/** Asks for a fresh set of the issuer; resolves when it is there, or will not come. */
export type AskForKeys = (issuer: string) => Promise<void>;

/** jose refuses shorter ones, too; longer ones only cost time. */
const RSA_BITS = { least: 2048, most: 16_384 };
const MOST_CANDIDATES = 4;
const NONE: readonly IssuerKey[] = Object.freeze([]);

/**
 * The key sets of all issuers in one process. They outlive states: a set stays until another one of the same source replaces it.
 *
 * INVARIANT: a process asks for keys at most once per cool-down and issuer, whatever tokens come.
 */
export class KeySets {
  readonly #ask: AskForKeys | undefined;
  readonly #now: () => number;
  #issuers = new Map<string, IssuerSettings>();
  readonly #sets = new Map<string, ReadySet>();
  readonly #remote = new Map<string, KeySetInForce>();
  readonly #asked = new Map<string, { at: number; under: Promise<void> | undefined }>();

  /** @param now milliseconds since 1970 @param ask for fetched sets; default: none can be had */
  constructor(now: () => number, ask?: AskForKeys) {
    this.#now = now;
    this.#ask = ask;
  }

  /** The issuers of the state in force. Sets of changed sources are dropped. */
  configure(issuers: readonly IssuerSettings[]): void {
    this.#issuers = new Map(issuers.map((issuer) => [issuer.id, issuer]));
    for (const id of [...this.#remote.keys()]) if (!this.#issuers.has(id)) this.#remote.delete(id);
    for (const id of [...this.#sets.keys()]) if (!this.#issuers.has(id)) this.#sets.delete(id);
    for (const id of [...this.#asked.keys()]) if (!this.#issuers.has(id)) this.#asked.delete(id);
    for (const issuer of issuers) this.#settle(issuer);
  }

  /** Replaces the fetched sets. */
  set(sets: readonly KeySetInForce[]): void {
    for (const set of sets) {
      this.#remote.set(set.id, set);
      const issuer = this.#issuers.get(set.id);
      if (issuer) this.#settle(issuer);
    }
  }

  /** The keys that may have signed a token of the issuer; `unusable` = it has no set, or one that is too old. */
  find(id: string, kid: string | undefined, alg: IssuerAlgorithm): Found {
    const set = this.#sets.get(id);
    if (!set || this.#now() >= set.until) return 'unusable';
    // Without `kid` every key that fits is a candidate; more than a few would be a guess.
    const named = kid === undefined ? [...set.keys] : (set.byId.get(kid) ?? NONE);
    const fitting = named.filter(({ published }) => fits(published, alg));
    return fitting.length > MOST_CANDIDATES ? NONE : fitting;
  }

  /** True = the set in force still has this key, and may be used. */
  holds(id: string, key: IssuerKey): boolean {
    const set = this.#sets.get(id);
    return set?.keys.has(key) === true && this.#now() < set.until;
  }

  /** Asks for a fresh set, unless that was done within the cool-down. */
  async refresh(id: string): Promise<void> {
    const source = this.#issuers.get(id)?.source;
    if (!this.#ask || !source || source.from === 'file') return;
    const last = this.#asked.get(id);
    if (last?.under) return await last.under;
    if (last && this.#now() - last.at < source.coolDownMs) return;
    const entry = { at: this.#now(), under: this.#ask(id).catch(() => undefined) as Promise<void> | undefined };
    this.#asked.set(id, entry);
    await entry.under;
    entry.under = undefined;
  }

  #settle({ id, source }: IssuerSettings): void {
    const before = this.#sets.get(id);
    if (source.from === 'file') {
      this.#sets.set(id, readySet(source.keys, undefined, Number.POSITIVE_INFINITY, before));
      return;
    }
    const remote = this.#remote.get(id);
    if (remote?.url === source.url) {
      this.#sets.set(id, readySet(remote.keys, remote.url, remote.fetchedAt + source.maxStaleMs, before));
    } else if (before?.url !== source.url) this.#sets.delete(id);
  }
}

function readySet(
  keys: readonly PublishedKey[],
  url: string | undefined,
  until: number,
  before: ReadySet | undefined,
): ReadySet {
  // The same key stays the same object, so that remembered tokens stay remembered.
  const known = new Map(
    before?.url === url ? [...(before?.keys ?? [])].map((key) => [textOf(key.published), key]) : [],
  );
  const ready = keys.map((published) => known.get(textOf(published)) ?? { published, object: undefined });
  const byId = new Map<string, IssuerKey[]>();
  for (const key of ready) {
    const id = key.published.kid;
    if (id === undefined) continue;
    const same = byId.get(id);
    if (same) same.push(key);
    else byId.set(id, [key]);
  }
  return { url, byId, keys: new Set(ready), until };
}

function textOf({ kty, kid, alg, members }: PublishedKey): string {
  return JSON.stringify([kty, kid, alg, Object.entries(members).sort()]);
}

const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

/** True = a signature with `alg` may be checked with the key: its type, its curve and its own `alg` fit (RFC 8725 section 3.1). */
function fits({ kty, alg: own, members }: PublishedKey, alg: IssuerAlgorithm): boolean {
  if (own !== undefined && own !== alg && !(isEd(own) && isEd(alg))) return false;
  if (isEd(alg)) return kty === 'OKP' && members.crv === 'Ed25519';
  const curve = CURVES[alg];
  return curve === undefined ? kty === 'RSA' : kty === 'EC' && members.crv === curve;
}

function isEd(alg: string): boolean {
  return alg === 'EdDSA' || alg === 'Ed25519';
}

/** The key for verification; null = it is malformed, too short or too long. */
export function keyObjectOf(key: IssuerKey): KeyObject | null {
  if (key.object === undefined) key.object = importKey(key.published);
  return key.object;
}

function importKey({ kty, members }: PublishedKey): KeyObject | null {
  try {
    const object = createPublicKey({ key: { kty, ...members }, format: 'jwk' });
    const { modulusLength: bits, publicExponent } = object.asymmetricKeyDetails ?? {};
    if (kty !== 'RSA') return object;
    const isSound = bits !== undefined && bits >= RSA_BITS.least && bits <= RSA_BITS.most;
    // `readKeySet` leaves out what is below 3: this is where a key is used.
    const isUsable = publicExponent !== undefined && publicExponent >= 3n && publicExponent < 2n ** 33n;
    return isSound && isUsable ? object : null;
  } catch {
    return null;
  }
}
