import type { LRUCache } from 'lru-cache';
import { type Access, isTrusted } from '../../policy/access.ts';
import {
  type Denial,
  EXPIRED_SIGNATURE,
  TOKEN_MANAGES,
  TOKEN_SOURCE_GONE,
  TOKEN_WRONG_SIGNER,
} from '../../policy/denial.ts';
import { type AcceptedToken, acceptRead, type ClaimRing, checkTokenRules, isExpired } from '../accept-claims.ts';
import { type Claims, readClaims } from '../claims.ts';
import { digestOf, type JwtSecret, type KeyRing } from '../key-ring.ts';
import { boundOf, childOf } from './child.ts';
import { KeySource } from './key-source.ts';
import { signerPrint, staticPrint } from './print.ts';
import { readReference, type SourceReference } from './reference.ts';

/*
 * Tokens that the gateway has minted. INVARIANT: such a token is judged as its source would be now, and then narrowed: nothing is
 * accepted of it that the source would not get.
 */

/** The parts of a ring that decide about minted tokens. */
export type MintingRing = ClaimRing & Pick<KeyRing, 'jwtSecrets' | 'exchanged'>;

/** Accepted tokens of clients that minted ones stand for, by the digest of what they say. */
export type SourceMemo = LRUCache<string, AcceptedSource>;

type AcceptedSource = Exclude<ReturnType<typeof acceptRead>, Denial>;

interface Around {
  readonly ring: MintingRing;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly sources: SourceMemo | undefined;
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
  const refused = checkTokenRules(
    ring.tokenRules,
    { ...claims, access: NOTHING, hasAccess: true },
    secret.bytes.length,
    now,
  );
  if (refused) return refused;
  const refuses = (access: Access) => (ring.tokenRules.refuseManage && isTrusted(access) ? TOKEN_MANAGES : undefined);
  const minted = { secret, bound, id, exp, refuses };
  const accepted = reference.kind === 'token' ? ofToken(reference, minted, around) : ofKey(reference, minted, ring);
  if (accepted.kind === 'denial') return accepted;
  return Object.freeze({
    ...accepted,
    revocable: Object.freeze({ jti: id, sub, subject, issuedAt, keyId: secret.keyId }),
  });
}

const NOTHING: Access = Object.freeze({ kind: 'list', modes: new Map() });

type AcceptedParts = Omit<AcceptedToken, 'revocable'>;

function ofKey(reference: SourceReference, minted: Minted, { exchanged }: MintingRing): AcceptedParts | Denial {
  const { key, print } = reference;
  const { secret, bound, id, exp, refuses } = minted;
  const configured = exchanged.get(key);
  if (!configured) {
    const principal = new KeySource({ key, print, secret: secret.bytes, bound, id, refuses });
    return { kind: 'accepted', principal, exp, valueExists: undefined };
  }
  if (staticPrint(secret.bytes, configured.digest) !== print) return TOKEN_SOURCE_GONE;
  const principal = childOf(configured.principal, bound, id);
  return refuses(principal.access) ?? { kind: 'accepted', principal, exp, valueExists: undefined };
}

function ofToken(reference: SourceReference, minted: Minted, around: Around): AcceptedParts | Denial {
  const signer = around.ring.jwtSecrets.find(({ keyId, mints }) => keyId === reference.key && !mints);
  if (!signer || signerPrint(minted.secret.bytes, signer.bytes) !== reference.print) return TOKEN_SOURCE_GONE;
  const source = sourceOf(reference, signer, around);
  if (source.kind === 'denial') return source;
  const principal = childOf(source.principal, minted.bound, minted.id);
  const refused = minted.refuses(principal.access);
  if (refused) return refused;
  const exp = Math.min(minted.exp, source.exp ?? minted.exp);
  return { kind: 'accepted', principal, exp, valueExists: source.valueExists, source: source.revocable };
}

/** The token of a client, judged as if it were presented. Tokens that stand for one token share its principal. */
function sourceOf(
  { claims: carried = EMPTY }: SourceReference,
  signer: JwtSecret,
  { ring, now, sources }: Around,
): AcceptedSource | Denial {
  const name = `${signer.keyId} ${digestOf(Buffer.from(carried).toString('latin1'))}`;
  const known = sources?.get(name);
  if (known) return isExpired(known.exp, now) ? EXPIRED_SIGNATURE : known;
  const claims = readClaims(carried, undefined, ring.tenants?.claims);
  if (!claims) return TOKEN_SOURCE_GONE;
  const accepted = acceptRead(claims, signer, ring, now);
  if (accepted.kind === 'accepted') sources?.set(name, accepted);
  return accepted;
}

const EMPTY = new Uint8Array();
