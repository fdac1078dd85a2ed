import type { Access } from '../../policy/access.ts';
import { accessOfNamed, type NamedAccess, namedOfAccess } from '../../policy/minting/named-access.ts';
import { narrow } from '../../policy/narrow.ts';
import { signClaims } from '../token.ts';
import { type SourceReference, writeReference } from './reference.ts';
import type { ExchangeSource } from './source.ts';

/** Properties of a token that is to be minted. */
export interface Minting {
  /** `jti`. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Longest life in seconds. */
  readonly lifetime: number;
  /** At most this access; `undefined` = that of the source. */
  readonly scope: NamedAccess | undefined;
}

/** A minted token. */
export interface MintedToken {
  readonly text: string;
  /** Seconds from now, at least 1. */
  readonly expiresIn: number;
  /** Seconds since 1970. */
  readonly exp: number;
}

/**
 * Mints a token for a source. It ends with the source, with the rules for tokens, and with its own life, whichever is first.
 * `undefined` = there is no second left.
 *
 * `access` is what a secured Qdrant would have to know; where more decides than it can express, it permits nothing natively.
 */
export async function mintFor(source: ExchangeSource, minting: Minting): Promise<MintedToken | undefined> {
  const { reference, signer, exp: end = Number.POSITIVE_INFINITY, sub, principal, valueExists, tokenRules } = source;
  const { id, lifetime } = minting;
  const iat = Math.floor(minting.now / 1000);
  const exp = Math.min(end, iat + lifetime, iat + (tokenRules.maxLifetime ?? lifetime));
  if (exp <= iat) return undefined;
  const { access, bound } = accessIn(source, minting.scope);
  const { subject } = principal;
  const told = JSON.stringify({ jti: id, sub, iat, exp, access, ...(subject !== undefined && { subject }) });
  const claims = Buffer.concat([
    Buffer.from(told.slice(0, -1)),
    ...(valueExists ? [Buffer.from(',"value_exists":'), valueExists] : []),
    Buffer.from(',"qdrant_gateway_source":'),
    writeReference({ ...reference, bound }),
    Buffer.from('}'),
  ]);
  return { text: await signClaims(claims, signer.bytes, signer.keyId), expiresIn: exp - iat, exp };
}

/** The claim `access`, and the bound where the claim is not the whole of it. */
function accessIn(
  { principal, isConditional }: ExchangeSource,
  scope: NamedAccess | undefined,
): { readonly access: unknown; readonly bound: SourceReference['bound'] } {
  const whole: Access = scope === undefined ? principal.access : narrow(principal.access, accessOfNamed(scope));
  const named = namedOfAccess(whole);
  const native = isConditional || named === undefined ? undefined : nativeOf(named);
  if (native !== undefined) return { access: native, bound: 'claim' };
  return { access: [], bound: named ?? scope ?? 'source' };
}

/** An access as Qdrant reads it; `undefined` = it has no such mode. */
function nativeOf(named: NamedAccess): unknown {
  if (typeof named === 'string') return named;
  if (named.some(([, mode]) => mode === 'pr')) return undefined;
  return named.map(([collection, access]) => ({ collection, access }));
}
