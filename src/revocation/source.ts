import type { RevocationEntry } from './entry.ts';
import type { RevocationSource } from './report.ts';

/** The log of a store. No text or field contains a claim or a credential. */
export interface RevocationLog {
  readonly info: (fields: object, text: string) => void;
  readonly warn: (fields: object, text: string) => void;
  readonly error: (fields: object, text: string) => void;
}

/** Storage of revocations outside of this process. */
export interface EntrySource {
  /** The known entries. */
  readonly entries: () => Iterable<RevocationEntry>;
  /** True = the revocations could not be read. */
  readonly unknown: () => boolean;
  /** Stores an entry, which is then among `entries`. Rejects with a `StoreFault`; the entry may still be stored. */
  readonly add: (entry: RevocationEntry) => Promise<void>;
  /** Takes entries out, which are then not among `entries`; others are of no matter. Rejects with a `StoreFault`. */
  readonly remove: (entries: readonly RevocationEntry[]) => Promise<void>;
  readonly report: () => RevocationSource;
  readonly close: () => Promise<void>;
}

/** An entry could not be stored. The text names the reason, without credentials and claims. */
export class StoreFault extends Error {
  readonly code = 'ERR_REVOCATION_STORE';
}

export const BEING_WRITTEN =
  'the revocation file could not be written (it is being written by another program): add the entry once it can';
