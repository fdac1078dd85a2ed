import { timingSafeEqual } from 'node:crypto';
import {
  type Denial,
  INVALID_CREDENTIAL,
  KEY_DISABLED,
  KEY_EXPIRED,
  KEY_LIMIT_GONE,
  KEY_NETWORK,
  KEY_NOT_YET_VALID,
  KEYS_BUSY,
  KEYS_UNKNOWN,
} from '../policy/denial.ts';
import type { KeyHash, NamedKeySettings, NamedKeysInForce } from '../policy/named-key.ts';
import { applyRules, type Rule } from '../policy/rules.ts';
import { accessOf } from '../policy/settings.ts';
import { type Tenants, tenancyOf, valuesOf } from '../policy/tenants/settings.ts';
import { keyIdIn } from './key-text.ts';
import type { Principal } from './principal.ts';
import { type SlowHash, SlowHashes } from './slow-hash.ts';

/** Addresses, and whether one is among them. */
export interface AddressSet {
  readonly has: (address: string) => boolean;
}

/** A key of the file, ready to be compared. */
interface NamedKey {
  readonly settings: NamedKeySettings;
  readonly principal: Principal;
  readonly networks: AddressSet | undefined;
  readonly hashes: readonly OwnHash[];
  /** True = it carries a limit that the policy does not have. */
  readonly limitGone: boolean;
  /** Minute of the last accepted request, since 1970; 0 = none. */
  usedAt: number;
}

/** A hash of a key's text, as it is stored and as it is compared. */
interface OwnHash {
  readonly stored: KeyHash;
  readonly hash: ReadyHash;
  /** Milliseconds since 1970. */
  readonly until: number;
}

type ReadyHash = { readonly kind: 'sha256'; readonly digest: Buffer } | SlowHash;

/** Parts of a state that named keys depend on. */
export interface KeySurroundings {
  readonly rules: readonly Rule[];
  readonly tenants: Tenants | undefined;
  /** Builds the set of a key's networks. */
  readonly rangesOf: (entries: readonly string[]) => AddressSet;
  /** One name for all addresses that count as one client. */
  readonly clientOf: (address: string) => string;
  /** Ids of the limits of the policy; `undefined` = none. */
  readonly limitIds: ReadonlySet<string> | undefined;
  /** Ids of issuers, signing keys and certificates: a named key with one of them would be taken for it, and is no key. */
  readonly taken: ReadonlySet<string>;
  /** True = the keys cannot be known: each text of their form is refused. */
  readonly unknown: boolean;
}

/** A key as the text of it was recognised. */
export interface Recognised {
  readonly settings: NamedKeySettings;
  readonly stored: KeyHash;
  /** Milliseconds since 1970: the end of this text, after a rotation. */
  readonly until: number;
}

/** A presented key. */
export interface Presented {
  readonly text: string;
  /** SHA-256 of the text, one character per byte. */
  readonly digest: string;
  /** The client's address; empty = unknown. */
  readonly remote: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

const DIGEST_BYTES = 32;
const MINUTE = 60_000;

/**
 * The named keys of one ring. The id in the text finds the key, whatever their number; the secret is compared by its digest in
 * constant time. State, times and networks are checked on every request.
 */
export class NamedKeys {
  readonly #keys: ReadonlyMap<string, NamedKey>;
  readonly #slow = new SlowHashes();
  readonly #presented = Buffer.alloc(DIGEST_BYTES); // filled anew by each call, which runs to its end

  readonly #around: KeySurroundings;

  constructor(keys: readonly NamedKeySettings[], around: KeySurroundings, former?: NamedKeys) {
    this.#around = around;
    const made = (settings: NamedKeySettings): NamedKey => {
      const old = former ? former.#keys.get(settings.id) : undefined;
      return old?.settings === settings ? old : ready(settings, around);
    };
    // Keys of a shared store come after the policy was checked.
    const own = keys.filter(({ id }) => !around.taken.has(id));
    this.#keys = new Map(own.map((settings) => [settings.id, made(settings)]));
    if (former) this.inherit(former);
  }

  /** Other keys in the same surroundings; unchanged settings cost nothing. */
  with({ keys, unknown }: NamedKeysInForce): NamedKeys {
    return new NamedKeys(keys, { ...this.#around, unknown }, this);
  }

  /** True = the text names a key of the file. */
  names(text: string): boolean {
    return this.#around.unknown ? keyIdIn(text) !== undefined : this.#find(text) !== undefined;
  }

  /** The principal of a text that names a key, or its refusal. A promise for a chosen key that is not remembered. */
  identify(presented: Presented): Principal | Denial | Promise<Principal | Denial> {
    if (this.#around.unknown) return KEYS_UNKNOWN;
    const key = this.#find(presented.text);
    if (!key) return INVALID_CREDENTIAL;
    this.#presented.write(presented.digest, 'latin1');
    const unknown: SlowHash[] = [];
    let right = false;
    for (const { hash, until } of key.hashes) {
      if (presented.now >= until) continue;
      if (hash.kind === 'sha256') right = timingSafeEqual(hash.digest, this.#presented) || right;
      else if (this.#slow.known(presented.digest, hash)) right = true;
      else if (this.#slow.known(presented.digest, hash) === undefined) unknown.push(hash);
    }
    if (right) return accepted(key, presented);
    return unknown.length === 0 ? INVALID_CREDENTIAL : this.#verify(key, presented, unknown);
  }

  /** The principal of a key whose secret is taken as right, or its refusal, for questions about it. `undefined` = no such key. */
  holder(id: string, presented: Pick<Presented, 'remote' | 'now'>): Principal | Denial | undefined {
    if (this.#around.unknown) return KEYS_UNKNOWN;
    const key = this.#keys.get(id);
    return key && judged(key, presented);
  }

  /** The key of an accepted text, which `identify` has just accepted; `undefined` = it is none. */
  recognise({ text, digest, now }: Presented): Recognised | undefined {
    const key = this.#find(text);
    if (!key) return undefined;
    this.#presented.write(digest, 'latin1');
    const own = key.hashes.find(({ hash, until }) => {
      if (now >= until) return false;
      if (hash.kind === 'sha256') return timingSafeEqual(hash.digest, this.#presented);
      return this.#slow.known(digest, hash) === true;
    });
    return own && { settings: key.settings, stored: own.stored, until: own.until };
  }

  /**
   * The principal of a key for a token that stands for it, or its refusal: state, times and networks hold as for its text.
   * `undefined` = there is no such key, or its text is another one.
   *
   * @param isIts whether the token was minted for this text
   */
  standsFor(
    id: string,
    isIts: (stored: KeyHash) => boolean,
    by: Pick<Presented, 'remote' | 'now'>,
  ): Principal | Denial | undefined {
    if (this.#around.unknown) return KEYS_UNKNOWN;
    const key = this.#keys.get(id);
    if (!key?.hashes.some(({ stored, until }) => by.now < until && isIts(stored))) return undefined;
    return accepted(key, by);
  }

  /** Minutes of last use by id, of the keys that were used. */
  used(): readonly (readonly [id: string, minute: number])[] {
    return [...this.#keys].flatMap(([id, { usedAt }]) => (usedAt > 0 ? [[id, usedAt] as const] : []));
  }

  /** Takes the figures of a former ring, and the chosen keys that it has verified, so that a reload verifies none again. */
  inherit(former: NamedKeys): void {
    for (const [id, minute] of former.used()) {
      const key = this.#keys.get(id);
      if (key) key.usedAt = Math.max(key.usedAt, minute);
    }
    this.#slow.inherit(former.#slow);
  }

  async #verify(key: NamedKey, presented: Presented, hashes: readonly SlowHash[]): Promise<Principal | Denial> {
    for (const hash of hashes) {
      const verification = this.#slow.verify(
        presented.text,
        presented.digest,
        hash,
        this.#around.clientOf(presented.remote),
      );
      if (!verification) return KEYS_BUSY;
      if (await verification) return accepted(key, presented);
    }
    return INVALID_CREDENTIAL;
  }

  #find(text: string): NamedKey | undefined {
    const id = keyIdIn(text);
    return id === undefined ? undefined : this.#keys.get(id);
  }
}

/** The secret is right: whether the key may be used now, from here. */
function accepted(key: NamedKey, presented: Pick<Presented, 'now' | 'remote'>): Principal | Denial {
  const identity = judged(key, presented);
  if (identity.kind === 'principal') key.usedAt = Math.floor(presented.now / MINUTE);
  return identity;
}

function judged(key: NamedKey, { now, remote }: Pick<Presented, 'now' | 'remote'>): Principal | Denial {
  const { disabled, expiresAt, notBefore } = key.settings;
  if (disabled) return refused(key, KEY_DISABLED);
  if (key.networks && (remote === '' || !key.networks.has(remote))) return refused(key, KEY_NETWORK);
  if (notBefore !== undefined && now < notBefore) return refused(key, KEY_NOT_YET_VALID);
  if (expiresAt !== undefined && now >= expiresAt) return refused(key, KEY_EXPIRED);
  if (key.limitGone) return refused(key, KEY_LIMIT_GONE);
  return key.principal;
}

/** Only the holder of the secret is refused by name; any other caller has used no key. */
function refused({ settings: { id, name, owner, breakGlass } }: NamedKey, denial: Denial): Denial {
  return { ...denial, key: { id, name, owner, ...(breakGlass && { breakGlass }) } };
}

function ready(settings: NamedKeySettings, { rules, tenants, rangesOf, limitIds }: KeySurroundings): NamedKey {
  const { id, name, owner, access, hash, previous, networks, limits, tenant } = settings;
  const left = applyRules(rules, { access: accessOf(access), keyId: id, subject: undefined });
  const valuesFrom = () => tenant && valuesOf(tenant);
  const tenancy = tenancyOf(tenants, { keyId: id, subject: undefined, credential: 'keys', valuesFrom });
  const principal: Principal = Object.freeze({
    ...{ kind: 'principal', ...left, tenancy, authType: 'ApiKey', keyId: id, subject: undefined },
    key: Object.freeze({ name, owner }),
    ...(limits && { carries: limits }),
    ...(settings.breakGlass && { breakGlass: true }),
  } as const);
  const hashes = [{ stored: hash, hash: readyHash(hash), until: Number.POSITIVE_INFINITY }];
  if (previous) hashes.push({ stored: previous.hash, hash: readyHash(previous.hash), until: previous.until });
  const limitGone = limits?.some((limit) => !limitIds?.has(limit)) ?? false;
  return { settings, principal, networks: networks && rangesOf(networks), hashes, limitGone, usedAt: 0 };
}

function readyHash(hash: KeyHash): ReadyHash {
  return hash.kind === 'sha256' ? { kind: 'sha256', digest: Buffer.from(hash.digest, 'hex') } : hash;
}
