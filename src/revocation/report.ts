import type { RevocationEntry } from './entry.ts';

/** Storage of a revocation. One in memory does not survive a restart. */
export type RevocationPlace = 'redis' | 'file' | 'memory';

/** Result of a revocation. `ok` = in force on this gateway, even if no source could store it. */
export type Revoked =
  | {
      readonly ok: true;
      readonly entry: RevocationEntry;
      readonly stored: RevocationPlace;
      readonly warnings: readonly string[];
    }
  /** Nothing was revoked. Texts name members and their allowed values, never the given ones. */
  | { readonly ok: false; readonly problems: readonly string[] };

/** Result of a lift. `ok` = no process refuses by these entries any more. */
export type Lifted =
  | { readonly ok: true; readonly lifted: readonly RevocationEntry[] }
  /** Nothing was lifted, or not in every place: what is still in a place stays in force. */
  | { readonly ok: false; readonly why: 'invalid' | 'unknown' | 'store'; readonly problems: readonly string[] };

/** A configured source and its state. */
export interface RevocationSource {
  readonly place: 'redis' | 'file';
  /** True = readable. Otherwise the last read applies, or the revocations are unknown (`RevocationReport.unknown`). */
  readonly available: boolean;
  /** Time of the last complete read in milliseconds since 1970; 0 = never. */
  readonly readAt: number;
  readonly entries: number;
  /** Without credentials and claims. */
  readonly problem: string | undefined;
}

/** The revocations of all sources. */
export interface RevocationReport {
  readonly entries: readonly RevocationEntry[];
  /** True = the revocations are unknown, so every token is refused. */
  readonly unknown: boolean;
  readonly sources: readonly RevocationSource[];
}
