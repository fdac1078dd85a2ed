import type { AcmeFaultKind } from './fault.ts';

/** State of the automatic certificate, for metrics, probes and the status page. Times in milliseconds since 1970. */
export interface AcmeReport {
  readonly domains: readonly string[];
  readonly directory: string;
  /** This gateway orders for all that share its folder or its Redis. */
  readonly leader: boolean;
  /** End of the certificate in force; `undefined` = there is none, and every handshake fails. */
  readonly expiresAt: number | undefined;
  /** When it is renewed; `undefined` = there is none. */
  readonly renewalAt: number | undefined;
  /** Earliest next attempt of this gateway as leader. */
  readonly nextAttemptAt: number;
  /** Orders of this gateway since its start. */
  readonly orders: { readonly ok: number; readonly failed: number };
  /** Why the last attempt failed; `undefined` = it did not. The text holds no key. */
  readonly problem: { readonly kind: AcmeFaultKind; readonly text: string; readonly at: number } | undefined;
}
