import { type Denial, INVALID_CREDENTIAL } from '../../policy/denial.ts';
import type { TokenRules } from '../../policy/token-rules.ts';
import { claimText, decidingClaims, readClaims } from '../claims.ts';
import { registeredIn, signerOf } from '../issuers/accept-issued.ts';
import { readIssuedToken } from '../issuers/issued-token.ts';
import type { KeySets } from '../issuers/key-sets.ts';
import { CONSOLE_ID, type JwtSecret, type KeyRing } from '../key-ring.ts';
import type { Presented } from '../named-keys.ts';
import type { Principal } from '../principal.ts';
import { verifyToken } from '../token.ts';
import { readTokenShape } from '../token-shape.ts';
import { namedPrint, publishedPrint, signerPrint, staticPrint } from './print.ts';
import type { SourceReference } from './reference.ts';

/** A credential that may be exchanged, and all that a token for it is made of. */
export interface ExchangeSource {
  readonly kind: 'source';
  readonly principal: Principal;
  readonly reference: Omit<SourceReference, 'bound'>;
  /** The key that signs the token. */
  readonly signer: JwtSecret;
  /** The end of the source, in seconds since 1970; `undefined` = none. */
  readonly exp: number | undefined;
  /** `sub` of the token: that of a source token, or the id of the key. */
  readonly sub: string;
  /** True = a condition of the source that no native claim can express: rules, tenants, networks, a certificate beside it. */
  readonly isConditional: boolean;
  /** JSON text of the claim `value_exists` of the source. */
  readonly valueExists: Uint8Array | undefined;
  readonly tokenRules: TokenRules;
}

/**
 * Why a valid credential is not exchanged.
 * - `off`: no key signs minted tokens
 * - `minted`: it has been minted itself
 * - `configured`: a configured key that the policy does not name
 * - `break_glass`: a break-glass key
 * - `kind`: nothing is known of its kind
 */
export type NotExchanged = 'off' | 'minted' | 'configured' | 'break_glass' | 'kind';

/** The receiver of a token for a source: a client, or a request that the console sends for its session. */
export type SourceUse = 'exchange' | 'console';

/** The source for sessions of the console that no credential has opened; `off` = there is no console. */
export function consoleSource(ring: KeyRing): ExchangeSource | 'off' {
  const signer = ring.jwtSecrets.find((one) => one.console);
  const key = ring.consoleKeys.get(CONSOLE_ID);
  if (!signer || !key || ring.open) return 'off';
  return {
    ...{
      kind: 'source',
      principal: key.principal,
      signer,
      tokenRules: ring.tokenRules,
      exp: undefined,
      sub: CONSOLE_ID,
    },
    reference: referenceTo('key', CONSOLE_ID, staticPrint(signer.bytes, key.digest)),
    isConditional: isConditional(key.principal) || ring.certificates?.mode === 'beside_key',
    valueExists: undefined,
  };
}

/** The source in a credential that the ring has accepted. */
export async function findSource(
  principal: Principal,
  presented: Presented,
  ring: KeyRing,
  sets: KeySets,
  use: SourceUse = 'exchange',
): Promise<ExchangeSource | Denial | NotExchanged> {
  const forConsole = use === 'console';
  const signer = ring.jwtSecrets.find((one) => one.mints && (one.console === true) === forConsole);
  if (!signer || ring.open) return 'off';
  if (principal.minted) return 'minted';
  if (principal.breakGlass) return 'break_glass';
  const common: Common = {
    ...{ kind: 'source', principal, signer, tokenRules: ring.tokenRules },
    isConditional: isConditional(principal) || ring.certificates?.mode === 'beside_key',
    valueExists: undefined,
  };
  if (ring.match(presented.digest)) {
    const key = (forConsole ? ring.consoleKeys : ring.exchanged).get(principal.keyId);
    if (!key) return 'configured';
    const reference = referenceTo('key', principal.keyId, staticPrint(signer.bytes, key.digest));
    return { ...common, reference, exp: undefined, sub: principal.keyId };
  }
  const named = ring.named?.recognise(presented);
  if (named) {
    const { id, expiresAt = Number.POSITIVE_INFINITY, networks } = named.settings;
    const end = Math.floor(Math.min(expiresAt, named.until) / 1000);
    return {
      ...common,
      reference: referenceTo('key', id, namedPrint(signer.bytes, named.stored)),
      exp: Number.isFinite(end) ? end : undefined,
      sub: id,
      isConditional: common.isConditional || networks !== undefined,
    };
  }
  return (await ofIssued(common, presented, { ring, sets })) ?? (await ofToken(common, presented, ring));
}

type Common = Omit<ExchangeSource, 'reference' | 'exp' | 'sub'>;

async function ofToken(
  common: Common,
  { text }: Presented,
  ring: KeyRing,
): Promise<ExchangeSource | Denial | NotExchanged> {
  const { principal, signer } = common;
  const own = ring.jwtSecrets.find(({ keyId, mints }) => keyId === principal.keyId && !mints);
  const shape = readTokenShape(text);
  if (!own || !shape) return 'kind';
  const verified = await verifyToken(shape, own.bytes);
  if (verified.kind !== 'verified') return INVALID_CREDENTIAL;
  const carried = decidingClaims(verified.claims, ring.tenants?.claims);
  const claims = readClaims(carried);
  if (!claims) return INVALID_CREDENTIAL;
  return {
    ...common,
    reference: { ...referenceTo('token', own.keyId, signerPrint(signer.bytes, own.bytes)), claims: carried },
    exp: claims.exp,
    sub: claims.sub ?? claims.subject ?? own.keyId,
    valueExists: claimText(carried, 'value_exists'),
  };
}

/** `undefined` = it is no token of an issuer. */
async function ofIssued(
  common: Common,
  { text, now }: Presented,
  around: { readonly ring: KeyRing; readonly sets: KeySets },
): Promise<ExchangeSource | Denial | undefined> {
  const token = readIssuedToken(text);
  const issuer = token?.issuer === undefined ? undefined : around.ring.issuers?.get(token.issuer);
  if (!token || issuer?.settings.id !== common.principal.keyId) return undefined;
  const surroundings = { ...around, now: () => now };
  const registered = registeredIn(token, issuer, surroundings);
  if (registered.kind === 'denial') return registered;
  const key = await signerOf(token, issuer, surroundings);
  if ('code' in key) return key;
  const { id } = issuer.settings;
  const reference = referenceTo('issued', id, publishedPrint(common.signer.bytes, key.published));
  return {
    ...common,
    reference: { ...reference, unsigned: text.slice(0, text.lastIndexOf('.')) },
    exp: Math.floor(registered.exp),
    sub: registered.sub ?? registered.subject,
  };
}

function referenceTo(kind: SourceReference['kind'], key: string, print: string): ExchangeSource['reference'] {
  return { kind, key, print, claims: undefined };
}

/** Rules by operation, tenants and limits of the policy hold for its tokens here, and would not natively. */
function isConditional({ bounds, tenancy, carries }: Principal): boolean {
  const narrowed = bounds?.enforced.some(({ operations, denied }) => operations ?? denied) ?? false;
  return narrowed || tenancy !== undefined || carries !== undefined;
}
