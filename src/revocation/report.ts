import type { RevocationEntry } from './entry.ts';

/** Where a revocation is kept. What is only in memory does not survive a restart. */
export type RevocationPlace = 'redis' | 'file' | 'memory';

/** The outcome of a revocation. `ok` = in force on this gateway, even where a source could not store it. */
export type Revoked =
  | {
      readonly ok: true;
      readonly entry: RevocationEntry;
      readonly stored: RevocationPlace;
      readonly warnings: readonly string[];
    }
  /** Nothing was revoked. Texts name members and what they may be, never values. */
  | { readonly ok: false; readonly problems: readonly string[] };

/** A store that is configured, and how it is. */
export interface RevocationSource {
  readonly place: 'redis' | 'file';
  /** Can it be read? Otherwise what was read last counts, or nothing is known (`RevocationReport.unknown`). */
  readonly available: boolean;
  /** Milliseconds since 1970 of the last complete reading; 0 = never. */
  readonly readAt: number;
  readonly entries: number;
  /** Without credentials and claims. */
  readonly problem: string | undefined;
}

/** The revocations of all sources. */
export interface RevocationReport {
  readonly entries: readonly RevocationEntry[];
  /** It cannot be found out what is revoked, so every token is refused. */
  readonly unknown: boolean;
  readonly sources: readonly RevocationSource[];
}
