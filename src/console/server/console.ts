import { CONSOLE_PATH, type ConsoleAnswer, type ConsoleRequest } from '../../exchange/console-request.ts';
import type { Role, Session } from '../api.ts';
import { problem, redirect } from './answers.ts';
import { type Assets, loadAssets } from './assets.ts';
import { answerData } from './call-row.ts';
import type { Caller } from './caller.ts';
import { closeAskers } from './data/askers.ts';
import { closeOverview } from './data/overview.ts';
import type { DataRow } from './data/row.ts';
import { DATA_ROWS } from './data/table.ts';
import { Entrance } from './entrance.ts';
import { LoginPace } from './login-pace.ts';
import { OidcLogin } from './oidc.ts';
import { OidcRoutes } from './oidc-routes.ts';
import { pageOf } from './page.ts';
import { crossSite } from './same-origin.ts';
import { Sessions } from './sessions.ts';
import type { ConsoleSource } from './source.ts';
import { type Identifies, type SignedIn, whoIs } from './who-is.ts';

/** The console of a gateway: one, whatever the number of ports and workers. */
export interface Console {
  /** Never rejects. A request that is not the console's is 404. */
  readonly answer: (request: ConsoleRequest) => Promise<ConsoleAnswer>;
  /** The session of a request, by its cookie; `undefined` = none. For requests that are proxied behind the login. */
  readonly signedIn: (request: ConsoleRequest) => Promise<SignedIn | undefined>;
  /** Bytes of the pages, compressed. */
  readonly assetBytes: number;
  readonly close: () => void;
}

export interface ConsoleOptions {
  readonly source: ConsoleSource;
  readonly version: string;
  /** Path of the Web UI behind the login; null = it is not offered on this port. */
  readonly webUi: (port: ConsoleRequest['port']) => string | null;
  /** Default: those of the gateway. */
  readonly rows?: readonly DataRow[];
}

/** Makes the console. Reads its files. */
export function createConsole(options: ConsoleOptions): Console {
  return new TheConsole(options);
}

/** Answers that are always the same: no path of them is read, only compared. */
const ROOT = `${CONSOLE_PATH}/`;
const API = `${CONSOLE_PATH}/api/`;
const OIDC_START = `${CONSOLE_PATH}/oidc/start`;
const OIDC_CALLBACK = `${CONSOLE_PATH}/oidc/callback`;

class TheConsole implements Console {
  readonly #options: ConsoleOptions;
  readonly #assets: Assets = loadAssets();
  readonly #sessions: Sessions;
  readonly #pace = new LoginPace(() => performance.now());
  /** Of credentials on the page Try it: they stop no login. */
  readonly #tries = new LoginPace(() => performance.now());
  readonly #entrance: Entrance;
  readonly #oidc: OidcLogin;
  readonly #oidcRoutes: OidcRoutes;
  readonly #identifies: Identifies;
  readonly #rows: ReadonlyMap<string, DataRow>;

  constructor(options: ConsoleOptions) {
    const { source, rows = DATA_ROWS } = options;
    this.#options = options;
    const minutes = () => source.state().config.gateway.console.session_minutes;
    this.#sessions = new Sessions({ now: source.now, minutes });
    this.#oidc = new OidcLogin(source);
    this.#oidcRoutes = new OidcRoutes({ source, sessions: this.#sessions, oidc: this.#oidc, pace: this.#pace });
    this.#identifies = { identify: source.identify, roleOf: (claims) => this.#oidc.roleOf(claims) };
    this.#entrance = new Entrance({
      ...{ source, sessions: this.#sessions, identifies: this.#identifies, pace: this.#pace },
      show: (request, signedIn) => this.#session(request, signedIn),
    });
    this.#rows = new Map(rows.map((row) => [`${row.method} ${row.name}`, row]));
  }

  get assetBytes(): number {
    return this.#assets.compressedBytes;
  }

  async answer(request: ConsoleRequest): Promise<ConsoleAnswer> {
    try {
      return await this.#answer(request);
    } catch (error) {
      this.#options.source.fault(error);
      return problem(500, 'internal error');
    }
  }

  async signedIn(request: ConsoleRequest): Promise<SignedIn | undefined> {
    const found = await whoIs(request, this.#sessions, this.#identifies);
    return found === 'unknown' ? undefined : found;
  }

  close(): void {
    this.#sessions.clear();
    closeAskers(this.#options.source);
    closeOverview(this.#options.source);
  }

  /** INVARIANT: paths are compared whole, as they were received. No other spelling of one is read. */
  async #answer(request: ConsoleRequest): Promise<ConsoleAnswer> {
    const [path = '', query] = splitTarget(request.target);
    if (path.startsWith(API)) return await this.#api(request, path.slice(API.length), query);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return problem(405, 'only GET is answered here', ['allow', 'GET, HEAD']);
    }
    if (path === CONSOLE_PATH) return redirect(ROOT);
    if (path === ROOT) return pageOf(this.#assets);
    if (path === OIDC_START) return await this.#oidcRoutes.start(request);
    if (path === OIDC_CALLBACK) return await this.#oidcRoutes.callback(request, query);
    return this.#assets.answer(request, path) ?? problem(404, 'there is no such page');
  }

  async #api(request: ConsoleRequest, name: string, query: string | undefined): Promise<ConsoleAnswer> {
    const foreign = crossSite(request);
    if (foreign !== undefined) return problem(403, foreign);
    const own = this.#entrance.route(request.method, name);
    if (own) return query === undefined ? await own(request) : problem(400, 'query: no parameter is known here');
    const row = this.#rows.get(`${request.method} ${name}`);
    const signedIn = await whoIs(request, this.#sessions, this.#identifies);
    if (signedIn === 'unknown') return problem(503, 'whether the session still holds cannot be said now; try again');
    if (!signedIn) return this.#entrance.signInAgain(request);
    if (!row) return problem(404, 'there is no such endpoint');
    if (!mayCall(row, signedIn.caller.role)) return problem(403, 'this session may read only');
    return await answerData(row, {
      ...{ request, query, signedIn, sessions: this.#sessions, pace: this.#tries, source: this.#options.source },
    });
  }

  #session({ port }: ConsoleRequest, signedIn: SignedIn | undefined): Session {
    const oidc = this.#oidc.isOn;
    if (!signedIn) return { signed_in: false, oidc };
    const { caller, session } = signedIn;
    return {
      ...{ signed_in: true, oidc, role: caller.role, name: caller.name },
      expires_at: new Date(session.expiresAt).toISOString(),
      web_ui: this.#options.webUi(port),
      gateway_version: this.#options.version,
    };
  }
}

/** INVARIANT: a role that is not known may nothing. */
function mayCall({ role: needed }: DataRow, role: Caller['role'] | Role): boolean {
  return role === 'full' || (role === 'read' && needed === 'read');
}

function splitTarget(target: string): [path: string, query: string | undefined] {
  const at = target.indexOf('?');
  return at < 0 ? [target, undefined] : [target.slice(0, at), target.slice(at + 1)];
}
