/** A request to the console, on either port. Plain data, so that it can be sent between processes. */
export interface ConsoleRequest {
  readonly port: 'admin' | 'rest';
  readonly method: string;
  /** Path and query as received. */
  readonly target: string;
  /** Names and values in turn, as received. */
  readonly headers: readonly string[];
  /** `Host`, or `:authority`. */
  readonly host: string | undefined;
  /** The client's address. */
  readonly remote: string;
  /** True = the connection has TLS. */
  readonly tls: boolean;
  readonly body: Uint8Array;
}

/** The answer. Plain data. */
export interface ConsoleAnswer {
  readonly status: number;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: Uint8Array | string;
}

/** Largest body of a request, in bytes. */
export const MAX_CONSOLE_BODY = 262_144;
/** The path below which the console answers. */
export const CONSOLE_PATH = '/-/console';

/** The path of Qdrant's Web UI behind the login, on the admin port. The page finds the API beside itself. */
export const WEB_UI_PATH = `${CONSOLE_PATH}/qdrant/dashboard`;

/** True = the request is the console's: only the plain spelling. */
export function isConsoleTarget(target: string): boolean {
  if (!target.startsWith(CONSOLE_PATH)) return false;
  const next = target.charAt(CONSOLE_PATH.length);
  return next === '' || next === '/' || next === '?';
}

/** The only value of a header; `undefined` = none, or several. @param name lower case */
export function oneHeader({ headers }: Pick<ConsoleRequest, 'headers'>, name: string): string | undefined {
  const values = headerValues(headers, name);
  return values.length === 1 ? values[0] : undefined;
}

/** All values of a header. @param name lower case */
export function headerValues(headers: readonly string[], name: string): readonly string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() === name) values.push(headers[at + 1] ?? '');
  }
  return values;
}

/** The console, for a port that serves it beside other requests. */
export interface ConsolePort {
  /** Asks the one console of this gateway. Never rejects. */
  readonly ask: (request: ConsoleRequest) => Promise<ConsoleAnswer>;
}

/** The answer where the console cannot be asked. */
export const CONSOLE_AWAY: ConsoleAnswer = {
  status: 503,
  headers: ['content-type', 'application/json; charset=utf-8', 'cache-control', 'no-store'],
  body: '{"error":"the console does not answer; try again"}',
};
