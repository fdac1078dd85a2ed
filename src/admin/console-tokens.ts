import type { SignedIn } from '../console/server/who-is.ts';
import type { Fleet } from '../gateway/fleet.ts';
import { CONSOLE_TOKEN_SECONDS } from '../gateway/workers/console-token.ts';

export interface ConsoleTokensOptions {
  readonly fleet: Pick<Fleet, 'consoleToken'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A token that requests of a session are sent with. */
interface Kept {
  readonly token: string;
  readonly role: string;
  /** Milliseconds since 1970: another one is made from then on. */
  readonly until: number;
}

/** Most sessions that have a token at once. */
const MAX_KEPT = 1000;

/**
 * Makes tokens for sessions, one for half of its life. INVARIANT: the session was found to stand for the very request that asks; a
 * session with another role gets another token.
 */
export function createConsoleTokens({
  fleet,
  now,
}: ConsoleTokensOptions): (signedIn: SignedIn) => Promise<string | undefined> {
  const kept = new Map<string, Kept>();
  return async ({ session: { id, opener }, caller: { role, remote } }) => {
    const known = kept.get(id);
    if (known && known.role === role && known.until > now()) return known.token;
    kept.delete(id);
    const credential = opener.by === 'key' ? opener.credential : undefined;
    const token = await fleet.consoleToken({ session: id, credential, role, remote });
    if (token === undefined) return undefined;
    const [oldest] = kept.keys();
    if (oldest !== undefined && kept.size >= MAX_KEPT) kept.delete(oldest);
    kept.set(id, { token, role, until: now() + (CONSOLE_TOKEN_SECONDS * 1000) / 2 });
    return token;
  };
}
