/** Hosts of this machine. */
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * The URL of keys or metadata in its normal form. A text instead of it says why it cannot be used.
 *
 * Keys decide who is let in, so they come over TLS; plain http is allowed on this machine only.
 */
export function readKeyUrl(text: string): { readonly url: string } | string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) return 'must be an https URL';
  if (url.username !== '' || url.password !== '') return 'must not hold a password: use `bearer_token_file`';
  if (url.hash !== '') return 'must not have a fragment';
  if (url.protocol === 'https:') return { url: url.href };
  if (url.protocol === 'http:' && LOOPBACK.test(url.hostname)) return { url: url.href };
  return 'must begin with https://; http is allowed for this machine only';
}

/** The URL of an issuer's metadata (OpenID Connect Discovery 1.0, section 4). */
export function metadataUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}
