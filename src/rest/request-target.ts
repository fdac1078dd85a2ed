/**
 * The request target as text: where the path ends, whether it is plain, its segments decoded once and written again.
 */
const PLAIN = 1;
const SLASH = 2;
const QUERY = 3;
const FRAGMENT = 4;

const CLASS = new Uint8Array(128);
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~')
  CLASS[char.charCodeAt(0)] = PLAIN;
CLASS['/'.charCodeAt(0)] = SLASH;
CLASS['?'.charCodeAt(0)] = QUERY;
CLASS['#'.charCodeAt(0)] = FRAGMENT;

/** An origin-form target taken apart. */
export interface TargetParts {
  /** Everything before the query and the fragment. */
  readonly path: string;
  /** The query with its question mark, untouched; empty = none. */
  readonly query: string;
  /** Unreserved characters and single slashes only, none at the end: the path already is what will be sent. */
  readonly plain: boolean;
}

/** Takes an origin-form target apart in one pass. The fragment is dropped, as upstream drops it. */
export function readTarget(target: string): TargetParts {
  let plain = true;
  let afterSlash = false;
  let end = 0;
  for (; end < target.length; end++) {
    const kind = CLASS[target.charCodeAt(end)] ?? 0;
    if (kind >= QUERY) break;
    if (kind === SLASH) {
      if (afterSlash) plain = false;
      afterSlash = true;
    } else {
      if (kind !== PLAIN) plain = false;
      afterSlash = false;
    }
  }
  if (afterSlash && end > 1) plain = false;
  return { path: target.slice(0, end), query: queryOf(target, end), plain };
}

function queryOf(target: string, end: number): string {
  if (target[end] !== '?') return '';
  const fragment = target.indexOf('#', end);
  return fragment === -1 ? target.slice(end) : target.slice(end, fragment);
}

/** Segments as they stand, empty ones dropped: runs of slashes are one, a trailing slash is none. */
export function splitPath(path: string): string[] {
  if (path === '/') return [];
  return path.split('/').filter((segment) => segment !== '');
}

/**
 * One percent-decode of a segment. `undefined` = a malformed escape, bad UTF-8, NUL or a raw byte beyond ASCII.
 *
 * Upstream keeps a stray `%` and decodes what follows it a second time; a segment that would need that is refused.
 */
export function decodeSegment(raw: string): string | undefined {
  for (let i = 0; i < raw.length; i++) if (raw.charCodeAt(i) > 0x7e) return undefined;
  try {
    return raw.includes('%') ? decodeURIComponent(raw) : raw;
  } catch {
    return undefined;
  }
}

/** The path of decoded segments, every character that could be read in two ways escaped. */
export function writePath(segments: readonly string[]): string {
  let path = '';
  for (const segment of segments) path += `/${encodeURIComponent(segment)}`;
  return path === '' ? '/' : path;
}

/** `.` or `..`: no meaning upstream, but anything in between might give it one. */
export function isDotSegment(segment: string): boolean {
  return segment === '.' || segment === '..';
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** The authority of an absolute-form target; `undefined` = another form. */
export function authorityOf(target: string): string | undefined {
  return ABSOLUTE.exec(target)?.[1];
}

/** An absolute-form target without scheme and authority; other forms as they are. */
export function toOriginForm(target: string): string {
  if (target.startsWith('/')) return target;
  const found = ABSOLUTE.exec(target);
  if (!found) return target;
  const rest = target.slice(found[0].length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}
