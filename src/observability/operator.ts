import type { RevocationReport, Revoked } from '../revocation/report.ts';

/** What asked for a reload. */
export type ReloadCause = 'start' | 'files' | 'signal' | 'admin' | 'interval';

/** What came of a reload. Texts name files, places and options, never their content. */
export type Reload =
  | {
      readonly ok: true;
      readonly cause: ReloadCause;
      /** Milliseconds since 1970. */
      readonly at: number;
      readonly generation: number;
      readonly warnings: readonly string[];
      /** Options that changed and are taken only by a restart. */
      readonly restartNeeded: readonly string[];
    }
  | { readonly ok: false; readonly cause: ReloadCause; readonly at: number; readonly problems: readonly string[] };

/** What signals, file watches and the admin port ask of a running gateway, whether it is one process or several. */
export interface Operator {
  /** Reads everything anew and puts it in force; what cannot be used leaves everything as it was. Never rejects. */
  reload(cause: ReloadCause): Promise<Reload>;
  /**
   * Takes back a token, a subject, a signing key, or what was issued before a time. `request` as it came (JSON): it is
   * checked here. Resolves once it is in force in every serving process. Never rejects.
   */
  revoke(request: unknown): Promise<Revoked>;
  /** What is revoked now, and how its sources are. Holds claims: for the operator's eyes, never for a log. */
  revocations(): RevocationReport;
}
