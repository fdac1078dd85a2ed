import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
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

interface Kept {
  readonly expiresAt: number;
  /** The opener, encrypted with a key that the cookie alone holds. */
  readonly sealed: Buffer;
}

/** Most sessions at once; the oldest one ends for a new one. Only a right credential opens one. */
const MAX_SESSIONS = 1000;
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
  ): Promise<{ readonly cookie: string; readonly seconds: number; readonly session: OpenSession }> {
    const id = randomUUID();
    const key = randomBytes(SEAL_KEY_BYTES);
    const seconds = this.#options.minutes() * 60;
    const expiresAt = this.#options.now() + seconds * 1000;
    const cookie = await seal({ id, key: key.toString('base64url') }, this.#key, USE);
    this.#forgetEnded();
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size >= MAX_SESSIONS) this.#kept.delete(oldest);
    this.#kept.set(id, { expiresAt, sealed: encrypt(JSON.stringify(opener), key) });
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

  /** Ends a session, for every copy of its cookie. */
  end(id: string): void {
    this.#kept.delete(id);
  }

  /** Ends all. */
  clear(): void {
    this.#kept.clear();
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
