import type { Access, CollectionMode } from '../policy/access.ts';
import { hasGlobally, hasMode, type NamedAccess } from '../policy/minting/named-access.ts';

/*
 * The parameter `scope`: `r`, `m`, or `collection=mode` with blanks between. Names are percent-encoded where a character is not
 * allowed in a scope. A `*` stands for itself only as `%2A`: there are no patterns.
 */

/** `pr` stands in no scope: no token of a client has it. */
type AskedMode = Exclude<CollectionMode, 'pr'>;

const MODES: readonly string[] = ['r', 'rw', 'prw'];
/** RFC 6749 section 3.3. */
const SCOPE_TOKENS = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/;
const FORM = 'scope: must be r, m, or collection=mode with blanks between; modes are r, rw and prw';

/** The access in a scope; a list with one text = its problem. */
export function readScope(scope: string): NamedAccess | string[] {
  if (!SCOPE_TOKENS.test(scope)) return [FORM];
  if (scope === 'r' || scope === 'm') return scope;
  const asked = new Map<string, AskedMode>();
  for (const token of scope.split(' ')) {
    const cut = token.lastIndexOf('=');
    const [raw, mode] = [token.slice(0, Math.max(0, cut)), token.slice(cut + 1)];
    if (raw === '' || !isMode(mode)) return [FORM];
    if (raw.includes('*')) return ['scope: there are no patterns; write %2A for a `*` in a name'];
    const name = decoded(raw);
    if (name === undefined) return ['scope: a name has a malformed escape'];
    if (asked.has(name)) return ['scope: a collection is given twice'];
    asked.set(name, mode);
  }
  return [...asked];
}

/** True = a problem, and not a scope: a list of pairs. */
export function isProblem(read: NamedAccess | string[]): read is string[] {
  return typeof read !== 'string' && typeof read[0] === 'string';
}

/**
 * Why the source does not have what is asked for; `undefined` = it does. Where operations bound a grant of the source, they bound
 * the token as well, and any mode may be asked for.
 */
export function scopeRefused(access: Access, scope: NamedAccess): string | undefined {
  if (typeof scope === 'string')
    return hasGlobally(access, scope) ? undefined : `scope: the source has no global ${scope}`;
  for (const [name, mode] of scope) {
    if (!hasMode(access, name, mode))
      return `scope: the source does not have ${mode} on a collection that is asked for`;
  }
  return undefined;
}

function isMode(text: string): text is AskedMode {
  return MODES.includes(text);
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
