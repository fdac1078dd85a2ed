import type { State } from '../../config/state.ts';
import { openLookups, ringOffline } from '../../gateway/usable.ts';
import { createAuthenticator } from '../../identity/authenticate.ts';
import { decodeBase64url } from '../../identity/base64url.ts';
import { readClaims } from '../../identity/claims.ts';
import { issuedBy } from '../../identity/issuers/issuer.ts';
import type { AskForKeys } from '../../identity/issuers/key-sets.ts';
import type { JwtSecret, KeyRing } from '../../identity/key-ring.ts';
import { type Revocations, revokedBy } from '../../identity/revocations.ts';
import { verifyToken } from '../../identity/token.ts';
import { readTokenShape } from '../../identity/token-shape.ts';
import type { CheckValueExists } from '../../identity/value-exists.ts';
import { type Denial, EXPIRED_SIGNATURE, INVALID_CREDENTIAL, INVALID_SIGNATURE, REVOKED } from '../../policy/denial.ts';
import { DENIAL_CODES, type DenialCode } from '../../policy/denial-codes.ts';
import { accessText } from '../../policy/mapping/access-text.ts';
import type { KeySetInForce } from '../../policy/mapping/issuer.ts';
import { fetchSetOf } from '../online.ts';
import { readRevocations } from '../revocations-now.ts';
import { tenancyLines } from './tenancy-text.ts';

/** The answer of a gateway with this state to a token. */
export interface Verdict {
  readonly accepted: boolean;
  /** One line for a person. */
  readonly text: string;
  /** Of a refusal. */
  readonly code?: DenialCode;
  /** Of an accepted token of an identity provider: the mappings that matched, and what they give under the rules. */
  readonly mapped?: { readonly issuer: string; readonly mappings: readonly string[]; readonly access: string };
  /** Of an accepted token with tenants: a line for each entry. */
  readonly tenants?: readonly string[];
}

/** The parts of the state that decide about a token. */
interface Asked {
  readonly ring: KeyRing;
  readonly revocations: Revocations;
  readonly valueExists: CheckValueExists;
  /** Fetches the keys of an issuer; default: they are unknown unless a file has them. */
  readonly fetchSet?: (issuer: string) => Promise<KeySetInForce | undefined>;
}

/**
 * Authenticates a token as a gateway would: with its key ring, revocations, and the upstream for `value_exists`. Then
 * finds the reason of a refusal. Rejects with `ConfigError` when the revocations cannot be read, and with `KeyFetchFault` when keys
 * cannot be fetched.
 *
 * @param fetchesKeys true = the keys of the token's issuer are fetched
 * @param inForce revocations of a running gateway; default: those of the configured store
 */
export async function verdictOf(
  token: string,
  state: State,
  now: number,
  fetchesKeys = false,
  inForce?: Revocations,
): Promise<Verdict> {
  const upstream = openLookups(state);
  try {
    const asked: Asked = {
      ring: ringOffline(state),
      revocations: inForce ?? (await readRevocations(state.config, now)),
      valueExists: upstream?.valueExists ?? (async () => undefined),
      ...(fetchesKeys && { fetchSet: (issuer: string) => fetchSetOf(state, issuer, now) }),
    };
    const verdict = await presentToken(token, asked, now);
    if (!verdict.accepted || upstream || !claimsOf(token)?.valueExists) return verdict;
    return { ...verdict, text: `${verdict.text}; \`value_exists\` was not checked: no upstream is configured` };
  } finally {
    await upstream?.close();
  }
}

/** The verdict of prepared parts. */
export async function presentToken(token: string, asked: Asked, now: number): Promise<Verdict> {
  const { ring, revocations, valueExists, fetchSet } = asked;
  if (!ring.open && ring.jwtSecrets.length === 0 && !ring.issuers) {
    const text = 'refused: tokens are off, set `service.jwt_rbac` and a key to sign with';
    return { accepted: false, text, code: INVALID_CREDENTIAL.code };
  }
  let failed: unknown;
  const askForKeys: AskForKeys = async (issuer) => {
    try {
      const set = await fetchSet?.(issuer);
      if (set) authenticator.setKeySets([set]);
    } catch (error) {
      failed = error;
    }
  };
  const authenticator = createAuthenticator({
    askForKeys,
    ring,
    cacheEntries: 0,
    now: () => now,
    valueExists,
    revocations: () => revocations,
  });
  const identity = await authenticator.authenticate(['api-key', token]);
  if (failed !== undefined) throw failed;
  if (identity.kind === 'denial') {
    return { accepted: false, text: `refused: ${await whyRefused(token, identity, asked)}`, code: identity.code };
  }
  const { authType, keyId, tenancy, mappings } = identity;
  const tenants = tenancy && { tenants: tenancyLines(tenancy) };
  if (authType === 'None')
    return { accepted: true, text: 'accepted: no key is set, every caller has full access', ...tenants };
  if (mappings) {
    const mapped = { issuer: keyId, mappings, access: accessText(identity.access) };
    return { accepted: true, text: `accepted: signed by the issuer \`${keyId}\``, mapped, ...tenants };
  }
  return { accepted: true, text: `accepted: signed with the key \`${keyId}\``, ...tenants };
}

/** The reason of a refusal, in more detail than the denial's text, which many reasons share. */
async function whyRefused(token: string, denial: Denial, { ring, revocations }: Asked): Promise<string> {
  const issued = ring.issuers && issuedBy(ring.issuers, token);
  if (issued) return whyIssuedRefused(denial, issued.issuer.settings.id);
  if (denial === EXPIRED_SIGNATURE) return 'it has expired (`exp` plus 30 seconds of leeway)';
  if (denial === REVOKED) return whyRevoked(token, ring, revocations);
  if (denial.why === 'fault' || denial.status === 400) return denial.message || 'it contains a control character';
  let reason: string | undefined;
  const explain = (text: string): void => {
    reason = text;
  };
  const shape = readTokenShape(token, explain);
  if (!shape) return reason ?? denial.message;
  const signer = await signerOf(token, ring.jwtSecrets);
  if (!signer) return 'it is signed with none of the configured keys';
  const bytes = decodeBase64url(shape.claimsPart);
  if (!bytes) return 'the claims are not strict base64url';
  const claims = readClaims(bytes, explain);
  if (!claims) return `the claims cannot be read: ${reason}`;
  // Upstream: another key is tried first, and its answer counts.
  return denial === INVALID_SIGNATURE ? 'it is signed with none of the configured keys' : denial.message;
}

/** The reason why a token of an issuer is refused. */
function whyIssuedRefused({ code, message }: Denial, issuer: string): string {
  const means: string = DENIAL_CODES[code].means;
  const text = `${means.charAt(0).toLowerCase()}${means.slice(1).replace(/\.$/, '')}`;
  const about = `the issuer is \`${issuer}\`: ${code === 'token_expired' ? 'the token is past its `exp`' : text}`;
  if (code === 'issuer_keys_unknown') return `${about}; fetch them with --fetch-keys`;
  return message.startsWith('Forbidden: ') ? `${about} (${message.slice('Forbidden: '.length)})` : about;
}

async function whyRevoked(token: string, ring: KeyRing, revocations: Revocations): Promise<string> {
  const [claims, signer] = [claimsOf(token), await signerOf(token, ring.jwtSecrets)];
  const by = claims && signer && revokedBy(revocations, { ...claims, keyId: signer.keyId });
  return by ?? 'it is revoked';
}

function claimsOf(token: string) {
  const shape = readTokenShape(token);
  const bytes = shape && decodeBase64url(shape.claimsPart);
  return bytes && readClaims(bytes);
}

async function signerOf(token: string, secrets: readonly JwtSecret[]): Promise<JwtSecret | undefined> {
  const shape = readTokenShape(token);
  if (!shape) return undefined;
  for (const secret of secrets) {
    if ((await verifyToken(shape, secret.bytes)).kind !== 'invalid-signature') return secret;
  }
  return undefined;
}
