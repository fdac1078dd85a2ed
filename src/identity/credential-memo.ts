import { type Credential, readCredential } from './credential.ts';
import { digestOf } from './key-ring.ts';

/**
 * Caches the last credential of one connection and its digest while the credential stays the same.
 *
 * INVARIANT: it holds the credential, never a decision. Keys, tokens and revocations are checked on every request. It
 * belongs to one connection, so the timing of its comparisons reveals nothing about another client's credential.
 */
export class CredentialMemo {
  #headers: readonly string[] | undefined;
  #credential: Credential | undefined;
  #text: string | undefined;
  #digest = '';

  /** As `readCredential`. An array that was read before must not have changed. */
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
