import type { ConsoleAnswer, ConsoleRequest } from '../../exchange/console-request.ts';
import { json, problem } from './answers.ts';
import { readJsonObject } from './body.ts';
import { type DataCall, type DataRow, DEFAULT_BODY } from './data/row.ts';
import type { ConsoleSource } from './source.ts';
import type { SignedIn } from './who-is.ts';

/** Largest answer of a row, in characters of JSON: larger ones are a fault of the row. */
const MAX_ANSWER = 4_194_304;

export interface RowCall {
  readonly request: ConsoleRequest;
  readonly query: string | undefined;
  readonly signedIn: SignedIn;
  readonly sessions: DataCall['sessions'];
  readonly pace: DataCall['pace'];
  readonly source: ConsoleSource;
}

/** Calls a row for a caller who may. */
export async function answerData(row: DataRow, call: RowCall): Promise<ConsoleAnswer> {
  const { request, query, signedIn, sessions, pace, source } = call;
  const { caller, session } = signedIn;
  const parameters = readQuery(query, row.query ?? []);
  if (typeof parameters === 'string') return problem(400, parameters);
  const body = row.method === 'POST' ? readJsonObject(request, row.maxBody ?? DEFAULT_BODY) : {};
  if (typeof body === 'string') return problem(400, body);
  const begun = performance.now();
  const act: DataCall['act'] = (made) =>
    source.acted({ ...made, remote: request.remote, console: caller, durationMs: performance.now() - begun });
  const answer = await row.answer({
    ...{ source, sessions, pace, session: caller, own: session.id, query: parameters, body, act },
  });
  const sent = json(answer.status, answer.body);
  if (sent.body.length <= MAX_ANSWER) return sent;
  source.fault(new RangeError(`the answer of \`${row.name}\` is too large`));
  return problem(500, 'The answer is too large to be shown. The command line shows all of it.');
}

/** The parameters of a query by name; or what is wrong with it. */
function readQuery(query: string | undefined, known: readonly string[]): Readonly<Record<string, string>> | string {
  const found: Record<string, string> = {};
  if (query === undefined || query === '') return found;
  for (const [name, value] of new URLSearchParams(query)) {
    if (!known.includes(name)) return `query: unknown parameter; known here: ${known.join(', ') || 'none'}`;
    if (Object.hasOwn(found, name)) return `query: \`${name}\` is given more than once`;
    found[name] = value;
  }
  return found;
}
