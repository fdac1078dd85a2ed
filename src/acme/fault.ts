/**
 * Why no certificate was got:
 *
 * - `directory`: the certificate authority cannot be reached, or answers with something that is not ACME;
 * - `directory_ca`: its own certificate is not trusted;
 * - `rate_limited`: it asks to come later;
 * - `account`: it refuses the account, or requires an external account binding;
 * - `challenge`: it could not see the proof of a host name;
 * - `refused`: it refuses the order for another reason;
 * - `clock`: the clock of this machine differs from that of the certificate authority;
 * - `certificate`: what it issued cannot be used;
 * - `storage`: the folder or Redis cannot be read or written;
 * - `internal`: a fault of the gateway.
 */
export const ACME_FAULTS = [
  'directory',
  'directory_ca',
  'rate_limited',
  'account',
  'challenge',
  'refused',
  'clock',
  'certificate',
  'storage',
  'internal',
] as const;
export type AcmeFaultKind = (typeof ACME_FAULTS)[number];

/** A certificate could not be got. The message holds no key and no token. */
export class AcmeFault extends Error {
  override readonly name = 'AcmeFault';
  readonly kind: AcmeFaultKind;
  /** Milliseconds since 1970 before which the certificate authority wants no other attempt; `undefined` = it did not say. */
  readonly notBefore: number | undefined;
  /** Type of the problem, without `urn:ietf:params:acme:error:`; RFC 8555 section 6.7. */
  readonly type: string | undefined;

  constructor(
    kind: AcmeFaultKind,
    message: string,
    more: { readonly notBefore?: number | undefined; readonly type?: string | undefined } = {},
  ) {
    super(message);
    this.kind = kind;
    this.notBefore = more.notBefore;
    this.type = more.type;
  }
}

/** Another gateway has become the leader: work of this one must end. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}
