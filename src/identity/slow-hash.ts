import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { KeyHash } from '../policy/named-key.ts';

export type SlowHash = Extract<KeyHash, { kind: 'scrypt' }>;

/** OWASP's parameters for scrypt with 32 MiB: about 0.1 s of one thread. */
const COST: Cost = { cost: 2 ** 15, blockSize: 8, parallelization: 3 };
type Cost = Pick<SlowHash, 'cost' | 'blockSize' | 'parallelization'>;
const HASH_BYTES = 32;
/** Bytes for one verification; a file with a larger hash is refused when it is read. */
const MAX_MEMORY = 256 * 1_048_576;
/** Verifications at a time, and those that wait: a flood of wrong keys takes no more threads than these. */
const MAX_RUNNING = 2;
const MAX_WAITING = 64;
/** Those of one client: a guesser that knows an id leaves room for others. */
const MAX_OF_ONE = 8;
/** Texts whose result is remembered, right ones and wrong ones apart, so that wrong ones evict no right one. */
const MAX_REMEMBERED = 10_000;

/** Hashes a chosen key. @param parameters only for tests, which need no slow hash */
export async function hashSlowly(text: string, parameters: Cost = COST): Promise<SlowHash> {
  const salt = randomBytes(16);
  const hash = await derive(text, { kind: 'scrypt', ...parameters, salt: salt.toString('base64url'), hash: '' });
  return { kind: 'scrypt', ...parameters, salt: salt.toString('base64url'), hash: hash.toString('base64url') };
}

/**
 * Verifies chosen keys in the thread pool, each text once: the result is remembered by the SHA-256 of the text and the hash
 * it was compared with.
 */
export class SlowHashes {
  readonly #right = new LRUCache<string, true>({ max: MAX_REMEMBERED });
  readonly #wrong = new LRUCache<string, true>({ max: MAX_REMEMBERED });
  readonly #underWay = new Map<string, Promise<boolean>>();
  readonly #waiting: (() => void)[] = [];
  /** Verifications that run or wait, by client. */
  readonly #byClient = new Map<string, number>();
  #running = 0;

  /** Takes over the right results of a former ring: they stay right for as long as the hash is there. */
  inherit({ right }: { readonly right: Iterable<string> }): void {
    for (const key of right) this.#right.set(key, true);
  }

  /** The remembered right results, the oldest first. */
  get right(): Iterable<string> {
    return this.#right.rkeys();
  }

  /** The remembered result; `undefined` = not known. @param digest of the text */
  known(digest: string, hash: SlowHash): boolean | undefined {
    const key = `${digest}${hash.hash}`;
    if (this.#right.has(key)) return true;
    return this.#wrong.has(key) ? false : undefined;
  }

  /**
   * Verifies the text; equal requests share one verification. `undefined` = too many are waiting, of all or of this client.
   *
   * @param client name of the client: one for all its addresses
   */
  verify(text: string, digest: string, hash: SlowHash, client: string): Promise<boolean> | undefined {
    const key = `${digest}${hash.hash}`;
    const shared = this.#underWay.get(key);
    if (shared) return shared;
    const open = this.#byClient.get(client) ?? 0;
    if (this.#waiting.length >= MAX_WAITING || open >= MAX_OF_ONE) return undefined;
    this.#byClient.set(client, open + 1);
    const verification = this.#inTurn(() => derive(text, hash))
      .then((derived) => {
        const expected = Buffer.from(hash.hash, 'base64url');
        const right = derived.length === expected.length && timingSafeEqual(derived, expected);
        (right ? this.#right : this.#wrong).set(key, true);
        return right;
      })
      .finally(() => {
        this.#underWay.delete(key);
        this.#left(client);
      });
    this.#underWay.set(key, verification);
    return verification;
  }

  #left(client: string): void {
    const open = (this.#byClient.get(client) ?? 1) - 1;
    if (open > 0) this.#byClient.set(client, open);
    else this.#byClient.delete(client);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= MAX_RUNNING) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}

function derive(text: string, { cost, blockSize, parallelization, salt }: SlowHash): Promise<Buffer> {
  const options = { cost, blockSize, parallelization, maxmem: MAX_MEMORY };
  return new Promise((resolve, reject) => {
    scrypt(text, Buffer.from(salt, 'base64url'), HASH_BYTES, options, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}
