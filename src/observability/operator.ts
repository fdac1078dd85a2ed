import type { AcmeReport } from '../acme/report.ts';
import type { KeySetReport } from '../issuers/key-source.ts';
import type { SharedKeys } from '../named-keys/redis/source.ts';
import type { KeyChanged, KeyRequest } from '../named-keys/store.ts';
import type { Lifted, RevocationReport, Revoked } from '../revocation/report.ts';
import type { SharedLimitsState } from './shared-limits-state.ts';

/** Trigger of a reload. */
export type ReloadCause = 'start' | 'files' | 'signal' | 'admin' | 'interval' | 'certificate';

/** Result of a reload. Texts name files, places and options, never their content. */
export type Reload =
  | {
      readonly ok: true;
      readonly cause: ReloadCause;
      /** Milliseconds since 1970. */
      readonly at: number;
      readonly generation: number;
      readonly warnings: readonly string[];
      /** Changed options that need a restart. */
      readonly restartNeeded: readonly string[];
    }
  | { readonly ok: false; readonly cause: ReloadCause; readonly at: number; readonly problems: readonly string[] };

/** The result of a request to drain a node, or to take it in again. */
export type NodeDrained =
  | { readonly ok: true; readonly node: string; readonly drained: boolean }
  | { readonly ok: false; readonly why: 'invalid' | 'unknown' | 'last'; readonly problems: readonly string[] };

/** Operations on a running gateway, of one process or several, for signals, file watches and the admin port. */
export interface Operator {
  /** Reads all files and applies them; an invalid state changes nothing. Never rejects. */
  reload(cause: ReloadCause): Promise<Reload>;
  /**
   * Revokes a token, a subject, a signing key, or all tokens issued before a time. `request` is unchecked JSON; it is
   * validated here. Resolves once the revocation is in force in every serving process. Never rejects.
   */
  revoke(request: unknown): Promise<Revoked>;
  /**
   * Takes a revocation out of every place that has it. `request` is unchecked JSON; it is validated here. Resolves once no serving process
   * refuses by it any more. Never rejects.
   */
  lift(request: unknown): Promise<Lifted>;
  /** Revocations in force and the state of their sources. Contains claims: for the operator, never for a log. */
  revocations(): RevocationReport;
  /**
   * Changes the named keys in their file or in Redis, and puts them in force in every serving process. Rejects only for a
   * fault of the gateway; nothing is changed then.
   */
  changeKey(request: KeyRequest): Promise<KeyChanged>;
  /**
   * Takes a node out, or in again, in every serving process. `request` is unchecked JSON; it is validated here. The last node that
   * takes requests is not taken out. Rejects only for a fault of the gateway.
   */
  drainNode(request: unknown, out: boolean): Promise<NodeDrained>;
  /** Names of the nodes that are out, also of those that are not in the list now. */
  drainedNodes(): readonly string[];
  /** The named keys in Redis; `undefined` = none are kept there. */
  readonly sharedKeys?: Pick<SharedKeys, 'keys' | 'report' | 'uses'> | undefined;
  /** State of the fetched key sets of issuers; empty = none are fetched. */
  readonly issuerKeys: () => readonly KeySetReport[];
  /** State of the limits that are counted in Redis; `undefined` = none are. */
  readonly sharedLimits?: (() => SharedLimitsState) | undefined;
  /** State of the automatic certificate; `undefined` = it is the operator's. */
  readonly acme?: (() => AcmeReport) | undefined;
}
