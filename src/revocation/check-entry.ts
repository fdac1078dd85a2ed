import { isOver, type RevocationEntry } from './entry.ts';

/** Problems and warnings about a revocation, from any source, before it is stored. Texts quote no claim. */
export interface EntryCheck {
  /** Any problem refuses the revocation. */
  readonly problems: readonly string[];
  /** Valid but probably unintended settings. */
  readonly warnings: readonly string[];
}

/**
 * Checks a well-formed revocation.
 *
 * @param now seconds since 1970
 * @param knownKeys see `revocableIds`
 */
export function checkEntry(entry: RevocationEntry, now: number, knownKeys: readonly string[]): EntryCheck {
  const problems: string[] = [];
  const warnings: string[] = [];
  if (isOver(entry, now)) problems.push('`until` is in the past');
  if (entry.kind === 'key' && !knownKeys.includes(entry.value)) problems.push(unknownKey(knownKeys));
  if (entry.kind === 'before' && entry.value > now + 1) {
    warnings.push('the time lies ahead: tokens issued from now until then are refused, too');
  }
  return { problems, warnings };
}

function unknownKey(knownKeys: readonly string[]): string {
  if (knownKeys.length === 0) return 'no key that signs tokens is configured, so none can be revoked';
  return `no key that signs tokens has this id; there are ${knownKeys.map((id) => `\`${id}\``).join(', ')}`;
}

/** The parts of a policy whose ids can be revoked. */
interface Revocable {
  readonly signingKeys: readonly { readonly id: string }[];
  readonly issuers?: readonly { readonly id: string }[];
  readonly clientCertificates?: { readonly id: string };
}

/** Ids of all that tokens and client certificates are verified with: keys, signing keys, issuers and the entry of certificates. */
export function revocableIds(
  apiKey: string | null,
  altApiKey: string | null,
  { signingKeys, issuers = [], clientCertificates }: Revocable,
): readonly string[] {
  const admin = [apiKey === null ? [] : 'api_key', altApiKey === null ? [] : 'alt_api_key'].flat();
  return [
    ...admin,
    ...[...signingKeys, ...issuers, ...(clientCertificates ? [clientCertificates] : [])].map(({ id }) => id),
  ];
}
