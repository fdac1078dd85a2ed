import type { ConsoleAnswer, ConsoleRequest } from '../../exchange/console-request.ts';
import type { Session } from '../api.ts';
import { json, problem } from './answers.ts';
import { readJsonObject } from './body.ts';
import { clearCookie, readCookie, setCookie } from './cookie.ts';
import { DEFAULT_BODY } from './data/row.ts';
import { type LoginPace, tooEarly } from './login-pace.ts';
import { isSecure } from './same-origin.ts';
import type { Sessions } from './sessions.ts';
import type { ConsoleSource } from './source.ts';
import { callerOf, type Identifies, type SignedIn, whoIs } from './who-is.ts';

type Route = (request: ConsoleRequest) => Promise<ConsoleAnswer>;

export interface EntranceOptions {
  readonly source: ConsoleSource;
  readonly sessions: Sessions;
  readonly identifies: Identifies;
  readonly pace: LoginPace;
  /** The parts of a session that its page is told. */
  readonly show: (request: ConsoleRequest, signedIn: SignedIn | undefined) => Session;
}

const REFUSED = {
  wrong: [401, 'this key is not accepted'],
  'too little': [
    403,
    'this key is accepted, and neither reads nor manages everything: the console needs one that does',
  ],
  open: [403, 'no key is configured: the console needs one to tell callers apart'],
  unknown: [503, 'whether this key is accepted cannot be said now; try again'],
} as const;

/** Login, logout, and who is signed in. */
export class Entrance {
  readonly #options: EntranceOptions;
  readonly #routes: Readonly<Record<string, Route>> = {
    'GET session': (request) => this.#show(request),
    'POST login': (request) => this.#login(request),
    'POST logout': (request) => this.#logout(request),
  };

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  route(method: string, name: string): Route | undefined {
    const key = `${method} ${name}`;
    return Object.hasOwn(this.#routes, key) ? this.#routes[key] : undefined;
  }

  /** The answer to a request without a session; a cookie that is of no use is removed. */
  signInAgain(request: ConsoleRequest): ConsoleAnswer {
    const clear = readCookie(request, 'session') === undefined ? [] : cookies(clearCookie('session'));
    return problem(401, 'you are not signed in', clear);
  }

  async #show(request: ConsoleRequest): Promise<ConsoleAnswer> {
    const { identifies, sessions, show } = this.#options;
    const signedIn = await whoIs(request, sessions, identifies);
    if (signedIn === 'unknown') return problem(503, 'whether the session still holds cannot be said now; try again');
    return json(200, show(request, signedIn));
  }

  async #login(request: ConsoleRequest): Promise<ConsoleAnswer> {
    const { source, sessions, show, pace } = this.#options;
    const begun = performance.now();
    const body = readJsonObject(request, DEFAULT_BODY);
    if (typeof body === 'string') return problem(400, body);
    const { key, ...others } = body;
    if (typeof key !== 'string' || key === '' || Object.keys(others).length > 0) {
      return problem(400, 'body: must be `{"key": "…"}`, with a key that is not empty');
    }
    const earlyMs = pace.begin(request.remote);
    if (earlyMs > 0) {
      const seconds = Math.ceil(earlyMs / 1000);
      return problem(429, tooEarly(earlyMs), [...['retry-after', String(seconds)]]);
    }
    const caller = await callerOf(key, request.remote, source);
    if (caller !== 'wrong') pace.right(request.remote);
    const act = {
      method: 'gateway_console_login',
      remote: request.remote,
      durationMs: performance.now() - begun,
    } as const;
    if (typeof caller === 'string') {
      source.acted({ ...act, result: caller === 'unknown' ? 'failed' : 'denied' });
      const [status, text] = REFUSED[caller];
      return problem(status, text);
    }
    // INVARIANT: a login opens a new session, and ends the one that the browser had: none can be prepared for another browser.
    const former = await sessions.find(readCookie(request, 'session'));
    if (former) sessions.end(former.id);
    const { cookie, seconds, session } = await sessions.open({ by: 'key', credential: key }, caller);
    source.acted({ ...act, result: 'ok', console: caller, session: { id: session.id } });
    const line = setCookie('session', cookie, seconds, isSecure(request));
    return json(200, show(request, { session, caller }), ['set-cookie', line]);
  }

  async #logout(request: ConsoleRequest): Promise<ConsoleAnswer> {
    const { source, sessions, show } = this.#options;
    const begun = performance.now();
    const body = readJsonObject(request, DEFAULT_BODY);
    if (typeof body === 'string' || Object.keys(body).length > 0) return problem(400, 'body: must be `{}`');
    const session = await sessions.find(readCookie(request, 'session'));
    if (session) {
      const signedIn = await whoIs(request, sessions, this.#options.identifies).catch(() => undefined);
      sessions.end(session.id);
      const { remote } = request;
      const by = { session: { id: session.id }, ...(typeof signedIn === 'object' && { console: signedIn.caller }) };
      const durationMs = performance.now() - begun;
      source.acted({ method: 'gateway_console_logout', remote, result: 'ok', ...by, durationMs });
    }
    return json(200, show(request, undefined), cookies(clearCookie('session')));
  }
}

function cookies(lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => ['set-cookie', line]);
}
