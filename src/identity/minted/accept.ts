import type { LRUCache } from 'lru-cache';
import { type Access, isTrusted } from '../../policy/access.ts';
import {
  type Denial,
  EXPIRED_SIGNATURE,
  TOKEN_MANAGES,
  TOKEN_SOURCE_GONE,
  TOKEN_WRONG_SIGNER,
} from '../../policy/denial.ts';
import { NO_TOKEN_RULES } from '../../policy/token-rules.ts';
import {
  type AcceptedSource,
  type AcceptedToken,
  acceptRead,
  type ClaimRing,
  checkTokenRules,
  isExpired,
} from '../accept-claims.ts';
import { type Claims, readClaims } from '../claims.ts';
import { acceptAgain } from '../issuers/accept-issued.ts';
import { readIssuedToken } from '../issuers/issued-token.ts';
import type { KeySets } from '../issuers/key-sets.ts';
import { digestOf, type JwtSecret, type KeyRing } from '../key-ring.ts';
import { boundOf, childOf } from './child.ts';
import { KeySource } from './key-source.ts';
import { publishedPrint, signerPrint, staticPrint } from './print.ts';
import { readReference, type SourceReference } from './reference.ts';

/*
 * Tokens that the gateway has minted. INVARIANT: such a token is judged as its source would be now, and then narrowed: nothing is
 * accepted of it that the source would not get.
 */

/** The parts of a ring that decide about minted tokens. */
export type MintingRing = ClaimRing & Pick<KeyRing, 'jwtSecrets' | 'exchanged' | 'consoleKeys' | 'issuers'>;

/** Accepted tokens of clients that minted ones stand for, by the digest of what they say. */
export type SourceMemo = LRUCache<string, AcceptedSource>;

/** Beside the ring: key sets of issuers, and remembered sources. Without key sets no issuer is known. */
export interface BesideRing {
  readonly sets?: KeySets | undefined;
  readonly sources?: SourceMemo | undefined;
}

interface Around extends BesideRing {
  readonly ring: MintingRing;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** The parts of a minted token that do not depend on its source. */
interface Minted {
  readonly secret: JwtSecret;
  readonly bound: Access;
  /** `jti`. */
  readonly id: string;
  readonly exp: number;
  readonly refuses: (access: Access) => Denial | undefined;
}

/** The verdict on the claims of a token that a key for exchange has signed. */
export function acceptMinted(claims: Claims, secret: JwtSecret, around: Around): AcceptedToken | Denial {
  const { ring, now } = around;
  const reference = claims.source && readReference(claims.source);
  const { exp, jti: id, issuedAt, sub, subject } = claims;
  if (!reference || exp === undefined || id === undefined || issuedAt === undefined || claims.faults !== '')
    return TOKEN_WRONG_SIGNER;
  if (isExpired(exp, now)) return EXPIRED_SIGNATURE;
  const bound = boundOf(reference, claims.access);
  // Its access is that of the source, which is not known yet.
  // Rules for tokens are for those that clients hold; the console's never leave the gateway, and are judged as their source.
  const rules = secret.console ? NO_TOKEN_RULES : ring.tokenRules;
  const refused = checkTokenRules(rules, { ...claims, access: NOTHING, hasAccess: true }, secret.bytes.length, now);
  if (refused) return refused;
  const refuses = (access: Access) => (rules.refuseManage && isTrusted(access) ? TOKEN_MANAGES : undefined);
  const minted = { secret, bound, id, exp, refuses };
  const accepted = reference.kind === 'key' ? ofKey(reference, minted, ring) : ofToken(reference, minted, around);
  if (accepted.kind === 'denial') return accepted;
  return Object.freeze({
    ...accepted,
    revocable: Object.freeze({ jti: id, sub, subject, issuedAt, keyId: secret.keyId }),
  });
}

const NOTHING: Access = Object.freeze({ kind: 'list', modes: new Map() });

type AcceptedParts = Omit<AcceptedToken, 'revocable'>;

function ofKey(
  reference: SourceReference,
  minted: Minted,
  { exchanged, consoleKeys }: MintingRing,
): AcceptedParts | Denial {
  const { key, print } = reference;
  const { secret, bound, id, exp, refuses } = minted;
  const configured = (secret.console ? consoleKeys : exchanged).get(key);
  if (!configured) {
    const principal = new KeySource({ key, print, secret: secret.bytes, bound, id, refuses });
    return { kind: 'accepted', principal, exp, valueExists: undefined };
  }
  if (staticPrint(secret.bytes, configured.digest) !== print) return TOKEN_SOURCE_GONE;
  const principal = childOf(configured.principal, bound, id);
  return refuses(principal.access) ?? { kind: 'accepted', principal, exp, valueExists: undefined };
}

function ofToken(reference: SourceReference, minted: Minted, around: Around): AcceptedParts | Denial {
  const source = remembered(reference, minted, around);
  if (source.kind === 'denial') return source;
  const { stands, valueExists } = source;
  const principal = childOf(source.principal, minted.bound, minted.id);
  const refused = minted.refuses(principal.access);
  if (refused) return refused;
  const exp = Math.min(minted.exp, source.exp ?? minted.exp);
  return { kind: 'accepted', principal, exp, valueExists, source: source.revocable, ...(stands && { stands }) };
}

/** The source of a minted token, judged as if it were presented. Tokens that stand for one source share its principal. */
function remembered(reference: SourceReference, { secret }: Minted, around: Around): AcceptedSource | Denial {
  const { sources, now } = around;
  const { kind, key, print, claims = EMPTY, unsigned = '' } = reference;
  const name = [kind, key, print, digestOf(`${Buffer.from(claims).toString('latin1')} ${unsigned}`)].join(' ');
  const known = sources?.get(name);
  if (known && !isExpired(known.exp, now) && (known.stands?.(now) ?? true)) return known;
  const judge = kind === 'token' ? signedSource : issuedSource;
  const accepted = judge(reference, secret.bytes, around);
  if (accepted.kind === 'accepted') sources?.set(name, accepted);
  return accepted;
}

/** A token of a client. */
function signedSource(
  { key, print, claims: carried = EMPTY }: SourceReference,
  secret: Uint8Array,
  { ring, now }: Around,
): AcceptedSource | Denial {
  const signer = ring.jwtSecrets.find(({ keyId, mints }) => keyId === key && !mints);
  if (!signer || signerPrint(secret, signer.bytes) !== print) return TOKEN_SOURCE_GONE;
  const claims = readClaims(carried, undefined, ring.tenants?.claims);
  return claims ? acceptRead(claims, signer, ring, now) : TOKEN_SOURCE_GONE;
}

/** A token of an issuer. The key that signed it must still be published. */
function issuedSource(
  { key, print, unsigned = '' }: SourceReference,
  secret: Uint8Array,
  { ring, now, sets }: Around,
): AcceptedSource | Denial {
  const issuer = [...(ring.issuers?.values() ?? [])].find(({ settings }) => settings.id === key);
  const token = readIssuedToken(`${unsigned}.`);
  if (!issuer || !sets || !token || token.issuer !== issuer.settings.issuer) return TOKEN_SOURCE_GONE;
  const around = { ring, sets, now: () => now };
  return acceptAgain(token, issuer, (one) => publishedPrint(secret, one) === print, around) ?? TOKEN_SOURCE_GONE;
}

const EMPTY = new Uint8Array();
