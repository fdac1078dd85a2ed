import type { AdminAct } from '../../../audit/act.ts';
import type { Role } from '../../api.ts';
import type { Caller } from '../caller.ts';
import type { LoginPace } from '../login-pace.ts';
import type { Sessions } from '../sessions.ts';
import type { ConsoleSource } from '../source.ts';

/** A call of a row. */
export interface DataCall {
  readonly source: ConsoleSource;
  readonly session: Caller;
  /** Id of this session. */
  readonly own: string;
  /** All sessions of this gateway. */
  readonly sessions: Pick<Sessions, 'list' | 'end'>;
  /** Bounds wrong credentials, as at the login. */
  readonly pace: Pick<LoginPace, 'begin' | 'right'>;
  /** The parameters that the row lists; each at most once. */
  readonly query: Readonly<Partial<Record<string, string>>>;
  /** The JSON object of a POST, unchecked. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Records a change, with who made it and from where. Milliseconds are counted from the begin of the call. */
  readonly act: (act: Omit<AdminAct, 'at' | 'remote' | 'durationMs' | 'console'>) => void;
}

/** The answer of a row. */
export interface DataAnswer {
  readonly status: number;
  /** A text = its JSON. */
  readonly body: object | string;
}

/** One endpoint below `/-/console/api/`. */
export interface DataRow {
  readonly method: 'GET' | 'POST';
  /** Path without parameters: lower case, digits, `-`, `/`. */
  readonly name: string;
  /** The least role. `full` for all that changes something or tells a secret. */
  readonly role: Role;
  /** Parameters of the query. Default: none. */
  readonly query?: readonly string[];
  /** Largest body in bytes, at most `MAX_CONSOLE_BODY`. Default: `DEFAULT_BODY`. */
  readonly maxBody?: number;
  /** Throwing is a fault of the gateway: 500. */
  readonly answer: (call: DataCall) => Promise<DataAnswer> | DataAnswer;
}

/** Largest body of a row that does not say otherwise, in bytes. */
export const DEFAULT_BODY = 16_384;

/** 200 with this body. */
export function ok(body: DataAnswer['body']): DataAnswer {
  return { status: 200, body };
}

/** An error of a row. @param text one sentence for the person at the page @param code stable, where the page depends on it */
export function problem(status: number, text: string, code?: string): DataAnswer {
  return { status, body: { error: text, ...(code !== undefined && { code }) } };
}
