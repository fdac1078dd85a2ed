import type { State } from '../../config/state.ts';
import { certificateUse } from '../../gateway/usable.ts';
import { certifiedPrincipal } from '../../identity/certificates/identities.ts';
import { issuedPrincipal } from '../../identity/issuers/accept-issued.ts';
import type { Principal } from '../../identity/principal.ts';
import { type Denial, NO_MAPPING } from '../../policy/denial.ts';
import { claimPath } from '../../policy/mapping/claims.ts';
import type { IssuerSettings } from '../../policy/mapping/issuer.ts';
import { createMapper, type MappingSettings } from '../../policy/mapping/mapper.ts';
import type { OfflineParts } from '../parts.ts';
import { claimsOfHolder } from './claims.ts';

/** Where claims come from: an issuer by its id, or client certificates. */
export type ClaimSource = { readonly from: 'issuer'; readonly id: string } | { readonly from: 'certificates' };

/** The holder of some mappings of a source, and of no other. */
export interface Holder {
  readonly source: ClaimSource;
  /** Ids of the mappings. */
  readonly mappings: readonly string[];
  readonly subject: string;
  /** Claims with a tenant, of those that entries of `tenants` name. */
  readonly tenants: readonly string[];
  /** Collections that its claims name, and others that they do not. */
  readonly named: readonly string[];
  readonly avoided: readonly string[];
}

/** The mappings of a source in one state, with its id there; `undefined` = the state has no such source. */
export function mappingsOf(
  source: ClaimSource,
  { policy, config }: Pick<State, 'policy' | 'config'>,
): { readonly id: string; readonly mappings: readonly MappingSettings[] } | undefined {
  if (source.from === 'issuer') return policy.issuers?.find(({ id }) => id === source.id);
  const { mode } = config.gateway.client_certificates;
  return mode === 'off' ? undefined : certificateUse(mode, policy);
}

/** The caller that a state makes of a holder, or its refusal. What the claims must be for the mappings to match is not asked. */
export async function identifyHolder(holder: Holder, parts: OfflineParts): Promise<Principal | Denial> {
  const { source, subject } = holder;
  const found = mappingsOf(source, parts.state);
  if (!found) return parts.authenticate(tokenOfNobody(source), undefined, parts.assumptions.remote);
  const own = heldIn(holder, found.mappings, parts.state);
  if (own.length === 0) return { ...NO_MAPPING, key: { id: found.id, name: found.id, owner: undefined } };
  const { named, avoided, tenants } = holder;
  const inTokens = source.from === 'issuer';
  const tenantPaths = tenants.flatMap((claim) => (inTokens ? [[claim]] : [claimPath(claim) ?? []]));
  const claims = claimsOfHolder({ mappings: own, named, avoided, tenants: tenantPaths });
  const mapper = createMapper(own.map(({ claim: _claim, values: _values, ...mapping }) => mapping));
  return inTokens
    ? issuedPrincipal({ settings: found as IssuerSettings, mapper }, claims, subject, parts.ring)
    : certifiedPrincipal({ id: found.id, mapper }, claims, subject, parts.ring);
}

/** Without a section a certificate beside a key narrows nothing, whatever its names are. */
function heldIn(
  { source, mappings }: Holder,
  all: readonly MappingSettings[],
  { policy }: Pick<State, 'policy'>,
): readonly MappingSettings[] {
  if (source.from === 'certificates' && !policy.clientCertificates) return all;
  return all.filter(({ id }) => mappings.includes(id));
}

/** Headers with a token whose issuer is not known; without an issuer there is no credential. */
function tokenOfNobody({ from }: ClaimSource): readonly string[] {
  return from === 'issuer' ? ['api-key', UNKNOWN_ISSUER] : [];
}

/** `{"alg":"RS256"}` with the claims `{"iss":""}` and a signature of one byte. */
const UNKNOWN_ISSUER = 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIifQ.AA';
