import { hash } from 'node:crypto';
import type { ConsoleRequest } from '../../exchange/console-request.ts';
import type { Role } from '../api.ts';
import type { Caller } from './caller.ts';
import { readCookie } from './cookie.ts';
import type { SignedClaims } from './oidc.ts';
import type { OpenSession, Sessions } from './sessions.ts';
import type { ConsoleSource } from './source.ts';

/** A session that stands, and its caller as of now. */
export interface SignedIn {
  readonly session: OpenSession;
  readonly caller: Caller;
}

/** Tells the caller of a session's credential, or of its claims, by what is in force. */
export interface Identifies extends Pick<ConsoleSource, 'identify'> {
  readonly roleOf: (claims: SignedClaims) => Role | undefined;
}

/**
 * The session of a request and its caller; `undefined` = none, `unknown` = it cannot be said now.
 *
 * INVARIANT: the credential of a session is identified anew for each request, from the address of that request. A key that was revoked,
 * rotated, disabled or narrowed ends its sessions at once.
 */
export async function whoIs(
  request: ConsoleRequest,
  sessions: Sessions,
  source: Identifies,
): Promise<SignedIn | undefined | 'unknown'> {
  const session = await sessions.find(readCookie(request, 'session'));
  if (!session) return undefined;
  const { opener } = session;
  if (opener.by === 'oidc') {
    const role = source.roleOf(opener.claims);
    if (role === undefined) {
      sessions.end(session.id);
      return undefined;
    }
    const caller = oidcCaller(opener.claims, role, request.remote);
    sessions.saw(session.id, caller);
    return { session, caller };
  }
  const caller = await callerOf(opener.credential, request.remote, source);
  if (caller === 'unknown') return 'unknown';
  if (typeof caller === 'string') {
    sessions.end(session.id);
    return undefined;
  }
  sessions.saw(session.id, caller);
  return { session, caller };
}

/** The caller that an identity provider told. */
export function oidcCaller({ subject }: SignedClaims, role: Role, remote: string): Caller {
  return { role, kind: 'person', keyId: 'oidc', name: subject, subject, remote };
}

/** The caller that a credential makes; or why it makes none. */
export async function callerOf(
  credential: string,
  remote: string,
  { identify }: Pick<ConsoleSource, 'identify'>,
): Promise<Caller | 'open' | 'wrong' | 'unknown' | 'too little'> {
  const identified = await identify(credential, remote);
  if (!identified.ok) return identified.why;
  const { role, keyId, keyName, subject, isToken } = identified;
  if (role === 'none') return 'too little';
  if (!isToken) return { role, kind: 'key', keyId, name: keyName ?? keyId, remote };
  const digest = subject === undefined ? hash('sha256', credential) : undefined;
  return { role, kind: 'token', keyId, name: subject ?? keyId, subject, digest, remote };
}
