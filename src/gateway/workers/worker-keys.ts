import type { AskForKeys } from '../../identity/issuers/key-sets.ts';
import type { KeysCall, KeysReply } from './messages.ts';

/** Longest wait for the supervisor, in milliseconds: it asks at most twice, for metadata and keys. */
const LIMIT_MS = 12_000;

/** A worker's asks for fresh keys of issuers, which the supervisor answers. */
export class WorkerKeys {
  readonly #send: (call: KeysCall) => void;
  readonly #waiting = new Map<number, () => void>();
  #calls = 0;

  /** @param send to the supervisor */
  constructor(send: (call: KeysCall) => void) {
    this.#send = send;
  }

  readonly ask: AskForKeys = async (issuer) => {
    this.#calls += 1;
    const keys = this.#calls;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LIMIT_MS).unref();
    this.#waiting.set(keys, resolve);
    this.#send({ keys, issuer });
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(keys);
  };

  replied({ keys }: KeysReply): void {
    this.#waiting.get(keys)?.();
  }
}
