/** A SPIFFE id, taken apart. */
export interface SpiffeId {
  readonly id: string;
  readonly trustDomain: string;
  /** With its first slash; empty = the id names the trust domain itself. */
  readonly path: string;
  readonly segments: readonly string[];
}

/** Longest id, in bytes (SPIFFE-ID, section 2.3). */
const MOST_BYTES = 2048;
const FORM = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[a-zA-Z0-9._-]+)*)$/;

/**
 * Reads a SPIFFE id (SPIFFE-ID, section 2): no port, user, query, fragment, escape, empty segment, `.` or `..`. `undefined` = it is
 * none. An id of a workload has a path, so one without is none here.
 */
export function spiffeIdOf(uri: string): SpiffeId | undefined {
  if (uri.length > MOST_BYTES) return undefined;
  const [, trustDomain = '', path = ''] = FORM.exec(uri) ?? [];
  const segments = path.split('/').slice(1);
  if (trustDomain === '' || segments.length === 0) return undefined;
  if (segments.some((segment) => segment === '.' || segment === '..')) return undefined;
  return { id: uri, trustDomain, path, segments };
}
