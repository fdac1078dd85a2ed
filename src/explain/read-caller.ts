import type { State } from '../config/state.ts';
import { ANONYMOUS, type Caller, callerIds, signingSecrets, UnknownCaller } from './caller.ts';

/**
 * The caller of a text: `anonymous`, the id of a key, or the claims of a token as JSON. Throws `UnknownCaller`.
 *
 * @param signingKey id of the key that signs such a token; default: the first that signs
 */
export function readCaller(text: string, signingKey: string | undefined): Caller {
  if (!text.trimStart().startsWith('{')) {
    if (signingKey !== undefined) throw new UnknownCaller('a signing key is for a caller with claims');
    return { kind: 'key', id: text };
  }
  let claims: unknown;
  try {
    claims = JSON.parse(text);
  } catch {
    throw new UnknownCaller('the claims of the caller are not JSON');
  }
  if (typeof claims !== 'object' || claims === null) throw new UnknownCaller('the claims of the caller are no object');
  return { kind: 'claims', claims, signingKey };
}

/** A sentence with the callers that a configuration has. */
export function callersText(state: State): string {
  const ids = callerIds(state).filter((id) => id !== ANONYMOUS);
  const signing = signingSecrets(state).map(({ id }) => id);
  const keys = ids.length > 0 ? `keys: ${ids.join(', ')}` : 'no keys';
  return `anonymous; ${keys}; claims of a token${signing.length > 0 ? `, signed with ${signing.join(' or ')}` : ''}`;
}
