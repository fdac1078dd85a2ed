import { CONSOLE_PATH, type ConsoleAnswer, type ConsoleRequest } from '../../exchange/console-request.ts';
import { problem, redirect, SAFE_HEADERS } from './answers.ts';
import { clearCookie, readCookie, setCookie } from './cookie.ts';
import type { LoginPace } from './login-pace.ts';
import { LOGIN_SECONDS, type OidcLogin, type PendingLogin } from './oidc.ts';
import type { Sessions } from './sessions.ts';
import type { ConsoleSource } from './source.ts';
import { oidcCaller } from './who-is.ts';

export interface OidcRoutesOptions {
  readonly source: ConsoleSource;
  readonly sessions: Sessions;
  readonly oidc: OidcLogin;
  /** Shared with the login by key. */
  readonly pace: LoginPace;
}

/** Answers that were used, by `state`; the oldest is forgotten. A code is good for one token at the provider, too. */
const MAX_USED = 1000;

/** The two pages of a login by an identity provider. */
export class OidcRoutes {
  readonly #options: OidcRoutesOptions;
  readonly #used = new Set<string>();

  constructor(options: OidcRoutesOptions) {
    this.#options = options;
  }

  /** Sends the browser to the identity provider. */
  async start({ host }: ConsoleRequest): Promise<ConsoleAnswer> {
    const { oidc, sessions, source } = this.#options;
    if (!oidc.isOn) return problem(404, 'no identity provider is configured');
    const url = oidc.settings.public_url ?? '';
    // The cookie has to be set where the answer comes to.
    if (host?.toLowerCase() !== hostOf(url)) return redirect(`${url}${CONSOLE_PATH}/oidc/start`);
    try {
      const { location, pending } = await oidc.begin();
      const sealed = await sessions.seal(pending);
      return redirect(location, ['set-cookie', setCookie('login', sealed, LOGIN_SECONDS, isTls(url))]);
    } catch (error) {
      source.fault(error);
      return failed(502, 'The identity provider does not answer.');
    }
  }

  /** Takes the answer of the identity provider. INVARIANT: only to a login that this browser has begun, once. */
  async callback(request: ConsoleRequest, query: string | undefined): Promise<ConsoleAnswer> {
    const { oidc, sessions, source, pace } = this.#options;
    if (!oidc.isOn) return problem(404, 'no identity provider is configured');
    const begun = performance.now();
    const act = (result: 'ok' | 'denied', name?: string, session?: { readonly id: string }): void =>
      source.acted({
        ...{ method: 'gateway_console_login', remote: request.remote, result, durationMs: performance.now() - begun },
        ...(name !== undefined && { console: { kind: 'person', keyId: 'oidc', name, subject: name } }),
        ...(session && { session: { id: session.id } }),
      });
    const pending = pendingOf(await sessions.unseal(readCookie(request, 'login')));
    if (!pending || this.#used.has(pending.state)) return failed(400, 'This browser has not begun this login.');
    const earlyMs = pace.begin(request.remote);
    if (earlyMs > 0) return failed(429, 'Too many logins failed from your network. Try again in a minute.');
    // INVARIANT: used up by its first answer, right or wrong: each answer is a request to the identity provider.
    this.#use(pending.state);
    try {
      const claims = await oidc.finish(pending, query ?? '');
      pace.right(request.remote);
      const role = oidc.roleOf(claims);
      if (role === undefined) {
        act('denied', claims.subject);
        return failed(403, 'You are known to the identity provider, and have no role in this console.');
      }
      const former = await sessions.find(readCookie(request, 'session'));
      if (former) sessions.end(former.id);
      const caller = oidcCaller(claims, role, request.remote);
      const { cookie, seconds, session } = await sessions.open({ by: 'oidc', claims }, caller);
      act('ok', claims.subject, session);
      const line = setCookie('session', cookie, seconds, isTls(oidc.settings.public_url ?? ''));
      return redirect(`${CONSOLE_PATH}/`, [...cookies([line]), ...cookies(clearCookie('login'))]);
    } catch {
      // The library's texts may hold parts of the answer.
      act('denied');
      return failed(400, 'The answer of the identity provider was not accepted.');
    }
  }

  #use(state: string): void {
    const [oldest] = this.#used;
    if (oldest !== undefined && this.#used.size >= MAX_USED) this.#used.delete(oldest);
    this.#used.add(state);
  }
}

function pendingOf(value: unknown): PendingLogin | undefined {
  const { state, nonce, verifier, issuer, until } = Object(value) as { [K in keyof PendingLogin]?: unknown };
  const texts = [state, nonce, verifier, issuer].every((one) => typeof one === 'string');
  return texts && typeof until === 'number' ? (value as PendingLogin) : undefined; // checked member by member
}

const isTls = (url: string): boolean => url.startsWith('https://');
const hostOf = (url: string): string => url.replace(/^https?:\/\//, '').toLowerCase();
const cookies = (lines: readonly string[]): readonly string[] => lines.flatMap((line) => ['set-cookie', line]);

/** A page for the person in front of the browser. @param text fixed: nothing of the request stands in it */
function failed(status: number, text: string): ConsoleAnswer {
  return {
    status,
    headers: [
      ...[...SAFE_HEADERS, 'cache-control', 'no-store', 'content-type', 'text/html; charset=utf-8'],
      ...cookies(clearCookie('login')),
    ],
    body: `<!doctype html>
<html lang="en">
<title>Sign in</title>
<p>${text}</p>
<p><a href="${CONSOLE_PATH}/">Back to the console</a></p>
</html>
`,
  };
}
