import type { Authenticator } from '../../identity/authenticate.ts';
import { mintFor } from '../../identity/minted/mint.ts';

/** A session of the console that a request is sent for. Plain data. */
export interface ConsoleTokenRequest {
  /** Id of the session: the token has it in `jti`. */
  readonly session: string;
  /** The credential that opened it; `undefined` = an identity provider did. */
  readonly credential: string | undefined;
  readonly role: 'read' | 'full';
  /** The client's address. */
  readonly remote: string;
}

/** Life of a token, in seconds. */
export const CONSOLE_TOKEN_SECONDS = 60;

/**
 * A token for one session of the console: judged as the session's credential is, at each request, and never wider than its role.
 * `undefined` = there is none for it.
 *
 * @param now milliseconds since 1970
 */
export async function consoleTokenOf(
  authenticator: Pick<Authenticator, 'sourceOf' | 'consoleSource'>,
  { session, credential, role, remote }: ConsoleTokenRequest,
  now: number,
): Promise<string | undefined> {
  const source =
    credential === undefined
      ? authenticator.consoleSource()
      : await authenticator.sourceOf(credential, remote, undefined, 'console');
  if (typeof source === 'string' || source.kind === 'denial') return undefined;
  const scope = role === 'full' ? 'm' : 'r';
  const minted = await mintFor(source, { id: `console ${session}`, now, lifetime: CONSOLE_TOKEN_SECONDS, scope });
  return minted?.text;
}
