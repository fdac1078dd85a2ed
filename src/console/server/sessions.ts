import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { type Caller, ownerOf } from './caller.ts';
import type { SignedClaims } from './oidc.ts';
import { openSealed, SEAL_KEY_BYTES, seal } from './seal.ts';

/** The source of a session: a credential, which is asked again on every request, or the claims of an identity provider. */
export type Opener =
  | { readonly by: 'key'; readonly credential: string }
  | { readonly by: 'oidc'; readonly claims: SignedClaims };

/** An open session. */
export interface OpenSession {
  readonly id: string;
  readonly opener: Opener;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** An open session, as others may see it: neither its credential nor its cookie. Times are milliseconds since 1970. */
export interface ShownSession {
  readonly id: string;
  /** Its opener; role and address are those of its last request. */
  readonly caller: Caller;
  readonly openedAt: number;
  readonly seenAt: number;
  readonly expiresAt: number;
}

interface Kept {
  readonly openedAt: number;
  readonly expiresAt: number;
  caller: Caller;
  seenAt: number;
  /** The opener, encrypted with a key that the cookie alone holds. */
  readonly sealed: Buffer;
}

/** Most sessions at once, and of one key or person. Only a right credential opens one. */
const MAX_SESSIONS = 1000;
const MAX_OF_ONE = 50;
const USE = 'qdrant-gateway-console';
const USE_LOGIN = 'qdrant-gateway-console-login';
const IV_BYTES = 12;
const TAG_BYTES = 16;

export interface SessionsOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Minutes; used or not, a session ends after them. */
  readonly minutes: () => number;
}

/**
 * The sessions of a gateway, in its memory: they end with it. A cookie is sealed, and names a session that is kept here, so that a
 * logout ends it for every copy of the cookie.
 *
 * INVARIANT: a session's credential is kept encrypted here, under a key that only its cookie holds. Neither memory nor cookie alone
 * tells it.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #key = randomBytes(SEAL_KEY_BYTES);
  /** By id, the oldest first. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Opens a session, always a new one. Returns the value of its cookie, and its life in seconds. */
  async open(
    opener: Opener,
    caller: Caller,
  ): Promise<{ readonly cookie: string; readonly seconds: number; readonly session: OpenSession }> {
    const id = randomUUID();
    const key = randomBytes(SEAL_KEY_BYTES);
    const seconds = this.#options.minutes() * 60;
    const openedAt = this.#options.now();
    const expiresAt = openedAt + seconds * 1000;
    const cookie = await seal({ id, key: key.toString('base64url') }, this.#key, USE);
    this.#forgetEnded();
    this.#makeRoom(caller);
    const sealed = encrypt(JSON.stringify(opener), key);
    this.#kept.set(id, { openedAt, expiresAt, caller, seenAt: openedAt, sealed });
    return { cookie, seconds, session: { id, opener, expiresAt } };
  }

  /** The open session of a cookie; `undefined` = there is none, for whatever reason. */
  async find(cookie: string | undefined): Promise<OpenSession | undefined> {
    if (cookie === undefined) return undefined;
    const read = await openSealed(cookie, this.#key, USE);
    const { id, key } = Object(read) as { id?: unknown; key?: unknown };
    if (typeof id !== 'string' || typeof key !== 'string') return undefined;
    const kept = this.#kept.get(id);
    if (!kept) return undefined;
    const opener = decrypt(kept.sealed, Buffer.from(key, 'base64url'));
    if (opener === undefined) return undefined;
    if (kept.expiresAt <= this.#options.now()) {
      this.#kept.delete(id);
      return undefined;
    }
    return { id, opener: JSON.parse(opener) as Opener, expiresAt: kept.expiresAt };
  }

  /** Seals something for a browser to bring back. */
  async seal(value: object): Promise<string> {
    return await seal(value, this.#key, USE_LOGIN);
  }

  /** Opens it; `undefined` = it is none of these. */
  async unseal(text: string | undefined): Promise<unknown> {
    return text === undefined ? undefined : await openSealed(text, this.#key, USE_LOGIN);
  }

  /** A request of the session, by its caller as of now. */
  saw(id: string, caller: Caller): void {
    const kept = this.#kept.get(id);
    if (!kept) return;
    kept.caller = caller;
    kept.seenAt = this.#options.now();
  }

  /** The open sessions, the newest first. */
  list(): readonly ShownSession[] {
    this.#forgetEnded();
    const all = [...this.#kept].map(([id, { caller, openedAt, seenAt, expiresAt }]) => ({
      ...{ id, caller, openedAt, seenAt, expiresAt },
    }));
    return all.reverse();
  }

  /** Ends a session, for every copy of its cookie. Returns its caller; `undefined` = there is none with this id. */
  end(id: string): Caller | undefined {
    const caller = this.#kept.get(id)?.caller;
    this.#kept.delete(id);
    return caller;
  }

  /** Ends all. */
  clear(): void {
    this.#kept.clear();
  }

  /** INVARIANT: who opens more sessions than others ends the own ones, and no one else's. */
  #makeRoom(caller: Caller): void {
    const own = this.#of(caller);
    if (own.length >= MAX_OF_ONE) this.#kept.delete(own[0] ?? '');
    if (this.#kept.size < MAX_SESSIONS) return;
    const counts = new Map<string, string[]>();
    for (const [id, kept] of this.#kept) {
      const who = ownerOf(kept.caller);
      counts.set(who, [...(counts.get(who) ?? []), id]);
    }
    // Those who only read end no session of those who change something.
    const isFull = ([id = '']: readonly string[]): number => Number(this.#kept.get(id)?.caller.role === 'full');
    const [most] = [...counts.values()].toSorted(
      (one, other) => isFull(one) - isFull(other) || other.length - one.length,
    );
    this.#kept.delete(most?.[0] ?? '');
  }

  /** Ids of the sessions of one caller, the oldest first. */
  #of(caller: Caller): readonly string[] {
    const who = ownerOf(caller);
    return [...this.#kept].flatMap(([id, kept]) => (ownerOf(kept.caller) === who ? [id] : []));
  }

  #forgetEnded(): void {
    const now = this.#options.now();
    for (const [id, { expiresAt }] of this.#kept) if (expiresAt <= now) this.#kept.delete(id);
  }
}

function encrypt(text: string, key: Uint8Array): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(sealed: Buffer, key: Uint8Array): string | undefined {
  if (key.length !== SEAL_KEY_BYTES) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, IV_BYTES));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    return decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return undefined;
  }
}
