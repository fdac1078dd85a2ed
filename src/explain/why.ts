import { decodeBase64url } from '../identity/base64url.ts';
import { readClaims } from '../identity/claims.ts';
import { readCredential } from '../identity/credential.ts';
import type { Principal } from '../identity/principal.ts';
import { readTokenShape } from '../identity/token-shape.ts';
import { type Access, entriesOf, GLOBAL_MANAGE, GLOBAL_READ } from '../policy/access.ts';
import { decide, type References, settle } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { Operation, Target } from '../policy/operation.ts';
import { type AccessSettings, accessOf, withPatterns } from '../policy/settings.ts';
import type { OfflineParts } from './parts.ts';

/*
 * The places that an access comes from, to name the entry that permits or refuses. It decides nothing: the verdict is that of
 * `exchange/steps.ts`, and each place is only asked alone.
 */

/** One place that bounds the access of a caller: its credential, or a rule of the policy. */
export interface AccessSource {
  /** For example `access claim`, `key k7f3`, `rule team-a`. */
  readonly place: string;
  readonly access: Access;
  /** Its entries, each with its path: `access[0]`. Empty = it has none. */
  readonly entries: readonly { readonly path: string; readonly access: Access }[];
}

/** The sources of the access of a caller: its credential first, then the rules with an access, in the order of the file. */
export function sourcesOf(principal: Principal, headers: readonly string[], parts: OfflineParts): AccessSource[] {
  const enforced = new Set(principal.bounds?.enforced.map(({ id }) => id));
  const rules = parts.state.policy.rules.flatMap(({ id, access }): AccessSource | [] =>
    enforced.has(id) && access !== undefined ? sourceOf(`rule ${id}`, access) : [],
  );
  return [credentialSource(principal, headers, parts), ...rules];
}

function credentialSource(principal: Principal, headers: readonly string[], parts: OfflineParts): AccessSource {
  const { authType, keyId } = principal;
  const mapped = mappedSource(principal, parts);
  if (mapped) return mapped;
  if (authType === 'Jwt') return claimSource(headers, parts.state.policy.tokenRules.patterns);
  const named = parts.state.policy.namedKeys?.find(({ id }) => id === keyId);
  if (named) return sourceOf(`key ${keyId}`, named.access);
  const access = keyId === 'read_only_api_key' ? GLOBAL_READ : GLOBAL_MANAGE;
  return { place: authType === 'None' ? 'no key is set' : `key ${keyId}`, access, entries: [] };
}

/** The mappings of an issuer or of client certificates that gave the access; `undefined` = no mapping did. */
function mappedSource({ authType, keyId, access: held, mappings = [] }: Principal, { state }: OfflineParts) {
  const issuer = state.policy.issuers?.find(({ id }) => id === keyId);
  const settings = issuer ?? (authType === 'Certificate' ? state.policy.clientCertificates : undefined);
  if (!settings) return undefined;
  const own = settings.mappings.filter(({ id }) => mappings.includes(id));
  const ids = own.map(({ id }) => id).join(', ');
  const of = issuer ? `issuer ${keyId}` : 'client certificate';
  const place = own.length === 0 ? of : `${of}, ${own.length > 1 ? 'mappings' : 'mapping'} ${ids}`;
  const [only] = own;
  // Names with claims inside are told by the access that they gave, after rules.
  if (!only || own.length > 1 || hasClaimNames(only.access)) return { place, access: held, entries: [] };
  return sourceOf(place, only.access);
}

/** True = a name may hold claims, or the characters that begin one. */
function hasClaimNames(access: AccessSettings): boolean {
  if (typeof access === 'string') return false;
  return access.some(({ collection, collections = [] }) =>
    [...collections, ...(collection === undefined ? [] : [collection])].some((name) => name.includes('${')),
  );
}

function claimSource(headers: readonly string[], patterns: boolean): AccessSource {
  const credential = readCredential(headers);
  const shape = credential?.kind === 'given' ? readTokenShape(credential.text) : undefined;
  const bytes = shape && decodeBase64url(shape.claimsPart);
  const claims = bytes && readClaims(bytes);
  const place = claims?.hasAccess === false ? 'no access claim' : 'access claim';
  const own = claims?.access ?? GLOBAL_MANAGE;
  const read = (access: Access): Access => (patterns ? withPatterns(access) : access);
  if (own.kind !== 'list') return { place, access: own, entries: [] };
  const entries = entriesOf(own).map((one, index) => ({ path: `access[${index}]`, access: read(one) }));
  return { place, access: read(own), entries };
}

function sourceOf(place: string, settings: AccessSettings): AccessSource {
  const entries =
    typeof settings === 'string'
      ? []
      : settings.map((entry, index) => ({ path: `access[${index}]`, access: accessOf([entry]) }));
  return { place, access: accessOf(settings), entries };
}

/** The verdict of one source. */
export interface SourceVerdict {
  readonly place: string;
  /** The entry that permits; `undefined` = none does, or the source has no entries. */
  readonly entry: string | undefined;
  readonly denial: Denial | undefined;
}

/** Asks one source alone. @param found the names in the body; `undefined` = it was not read */
export function askSource(
  { place, access, entries }: AccessSource,
  operation: Operation,
  target: Target,
  found: References | undefined,
): SourceVerdict {
  const denial = refusalOf(access, operation, target, found);
  const entry = denial ? undefined : entries.find((one) => !refusalOf(one.access, operation, target, found))?.path;
  return { place, entry, denial };
}

function refusalOf(access: Access, operation: Operation, target: Target, found: References | undefined) {
  const decision = decide(access, operation, target);
  const settled = decision.kind === 'conditional' ? settle(decision, found ?? NOTHING_FOUND) : decision;
  return settled.kind === 'denial' ? settled : undefined;
}

const NOTHING_FOUND: References = Object.freeze({ others: Object.freeze([]) });
