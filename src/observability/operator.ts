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
}
