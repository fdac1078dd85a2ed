import { type Credential, readCredential } from './credential.ts';
import { digestOf } from './key-ring.ts';

/**
 * What one connection presented last, and its digest: neither is made again while it stays the same.
 *
 * INVARIANT: it holds what was said, never what came of it. Keys, tokens and revocations are looked at on every request;
 * and it belongs to one connection, so that nobody learns from its comparisons what another presented.
 */
export class CredentialMemo {
  #headers: readonly string[] | undefined;
  #credential: Credential | undefined;
  #text: string | undefined;
  #digest = '';

  /** Like `readCredential`; an array that was read before must not have changed. */
  read(rawHeaders: readonly string[]): Credential | undefined {
    if (rawHeaders === this.#headers) return this.#credential;
    this.#credential = readCredential(rawHeaders);
    this.#headers = rawHeaders;
    return this.#credential;
  }

  /** Like `digestOf`. */
  digestOf(text: string): string {
    if (text !== this.#text) {
      this.#digest = digestOf(text);
      this.#text = text;
    }
    return this.#digest;
  }
}
