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
 * @param knownKeys ids of the keys that tokens are verified with
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

/** Ids of the keys that tokens are verified with. */
export function signingKeyIds(
  apiKey: string | null,
  altApiKey: string | null,
  signingKeys: readonly { readonly id: string }[],
): readonly string[] {
  const admin = [apiKey === null ? [] : 'api_key', altApiKey === null ? [] : 'alt_api_key'];
  return [...admin.flat(), ...signingKeys.map(({ id }) => id)];
}
