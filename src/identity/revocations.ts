/**
 * Revoked tokens, as one immutable value. A key is revoked by removing it from the key ring.
 */
export interface Revocations {
  /** Ids of tokens (`jti`). */
  readonly tokens: ReadonlySet<string>;
  /** Subjects (`sub` or `subject`) whose tokens are all refused. */
  readonly subjects: ReadonlySet<string>;
  /** Ids of signing keys whose tokens are all refused. */
  readonly keys: ReadonlySet<string>;
  /**
   * Tokens issued (`iat`) before this second are refused, including those without an issue time; `undefined` = no
   * limit.
   */
  readonly issuedBefore: number | undefined;
  /** The same limit for single subjects. */
  readonly issuedBeforeBySubject: ReadonlyMap<string, number>;
  /** True = the revocations are unknown: every token is refused. */
  readonly unknown: boolean;
}

/** The claims of a token by which it can be revoked. */
export interface RevocableToken {
  readonly jti: string | undefined;
  readonly sub: string | undefined;
  readonly subject: string | undefined;
  /** Seconds since 1970; `undefined` = absent or not a number. */
  readonly issuedAt: number | undefined;
  /** Id of the key it was verified with. */
  readonly keyId: string;
}

/** No revocations. */
export const NO_REVOCATIONS: Revocations = Object.freeze({
  tokens: new Set<string>(),
  subjects: new Set<string>(),
  keys: new Set<string>(),
  issuedBefore: undefined,
  issuedBeforeBySubject: new Map<string, number>(),
  unknown: false,
});

/** Larger numbers (after the year 5138) are not in seconds, and count as no time. */
const MAX_SECONDS = 100_000_000_000;

/**
 * The reason why a token is revoked, without any of its claims; `undefined` = not revoked. A token without an issue
 * time, or with an invalid one (milliseconds), counts as issued before any time.
 */
export function revokedBy(revocations: Revocations, token: RevocableToken): string | undefined {
  const { tokens, keys, issuedBefore } = revocations;
  if (token.jti !== undefined && tokens.has(token.jti)) return 'its id (`jti`) is revoked';
  if (keys.has(token.keyId)) return 'the key that signed it is revoked';
  if (issuedBefore !== undefined && isIssuedBefore(token, issuedBefore)) return BEFORE;
  return subjectRevoked(revocations, token, token.sub) ?? subjectRevoked(revocations, token, token.subject);
}

const BEFORE = 'tokens issued (`iat`) before a time are revoked, and it is older or does not say';
const SUBJECT = 'its subject (`sub` or `subject`) is revoked';
const SUBJECT_BEFORE =
  'tokens of its subject issued (`iat`) before a time are revoked, and it is older or does not say';

/** True = the token is revoked. See `revokedBy`. */
export function isRevoked(revocations: Revocations, token: RevocableToken): boolean {
  return revokedBy(revocations, token) !== undefined;
}

function subjectRevoked(revocations: Revocations, token: RevocableToken, name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  if (revocations.subjects.has(name)) return SUBJECT;
  const before = revocations.issuedBeforeBySubject.get(name);
  return before !== undefined && isIssuedBefore(token, before) ? SUBJECT_BEFORE : undefined;
}

function isIssuedBefore({ issuedAt }: RevocableToken, time: number): boolean {
  // Negated, so that NaN counts as before.
  return issuedAt === undefined || issuedAt > MAX_SECONDS || !(issuedAt >= time);
}
