import { z } from 'zod';
import { callerIds } from '../../../explain/caller.ts';
import { GRPC_OPERATIONS } from '../../../operations/grpc.ts';
import type { AccessMatrix, Tried, TryOptions } from '../../api/questions.ts';
import { tooEarly } from '../login-pace.ts';
import type { ConsoleSource } from '../source.ts';
import { answerTo } from './askers.ts';
import { type DataAnswer, type DataCall, type DataRow, ok, problem } from './row.ts';
import { issueText } from './tokens.ts';

/** Callers of one answer. */
const MOST_CALLERS = 24;
const MOST_NAMES = 50;
const MOST_TEXT = 200;

const trySchema = z.strictObject({
  protocol: z.enum(['rest', 'grpc']),
  method: z
    .string()
    .regex(/^[A-Z]{1,20}$/, 'must be a method of HTTP in capital letters')
    .optional(),
  target: z
    .string()
    .max(4096)
    .regex(/^[!-~]+$/, 'must have no blanks: encode others as %20'),
  body: z.string().max(200_000).optional(),
  as: z.string().max(8192).optional(),
  credential: z
    .string()
    .max(16_000)
    .regex(/^[\t -~]*$/, 'is no key and no token')
    .optional(),
});

/** The pages Access and Try it. */
export const accessRows: readonly DataRow[] = [
  { method: 'GET', name: 'access', role: 'read', query: ['collection', 'caller'], answer: matrix },
  { method: 'GET', name: 'access/why', role: 'read', query: ['operation', 'collection', 'caller'], answer: why },
  { method: 'GET', name: 'try/options', role: 'read', answer: ({ source }) => ok(tryOptions(source)) },
  { method: 'POST', name: 'try', role: 'read', maxBody: 262_144, answer: tryIt },
];

async function matrix(call: DataCall): Promise<DataAnswer> {
  const { collection = '', caller = '' } = call.query;
  if (collection.length > MOST_TEXT || caller.length > MOST_TEXT) return problem(400, 'The filter is too long.');
  const answer = await answerTo(call, { kind: 'matrix', collections: collection === '' ? [] : [collection] });
  return answer.status === 200 ? ok(filtered(answer.body as AccessMatrix, caller)) : answer;
}

/** The columns of callers whose label holds a text. */
function filtered(whole: AccessMatrix, caller: string): AccessMatrix {
  const fitting = whole.callers.filter((label) => label.toLowerCase().includes(caller.toLowerCase()));
  const callers = fitting.slice(0, MOST_CALLERS);
  const kept = new Set(callers);
  return {
    ...whole,
    callers,
    left_out: fitting.length - callers.length,
    rows: whole.rows.map(({ operations, cells }) => ({
      operations,
      cells: cells
        .filter((cell) => kept.has(cell.caller))
        .map((cell) => ({
          ...cell,
          allowed: typeof cell.allowed === 'string' ? cell.allowed : cell.allowed.slice(0, MOST_NAMES),
        })),
    })),
  };
}

async function why(call: DataCall): Promise<DataAnswer> {
  const { operation = '', collection, caller = '' } = call.query;
  return await answerTo(call, { kind: 'why', operation, collection, caller });
}

function tryOptions(source: ConsoleSource): TryOptions {
  const { policy, secrets } = source.state();
  const names = new Map((policy.namedKeys ?? []).map(({ id, name }) => [id, name]));
  const ids = callerIds({ policy, secrets });
  return {
    callers: ids.map((id) => {
      const name = names.get(id);
      return {
        id,
        text: id === 'anonymous' ? 'no key at all' : name === undefined ? `key ${id}` : `key ${id} (${name})`,
      };
    }),
    grpc_methods: GRPC_OPERATIONS.map(({ name }) => name.replace(/^qdrant\./, '')),
  };
}

async function tryIt(call: DataCall): Promise<DataAnswer> {
  const asked = trySchema.safeParse(call.body);
  if (!asked.success) return problem(400, issueText(asked.error));
  const { as, credential, method, body: text, ...rest } = asked.data;
  if (rest.protocol === 'rest' && !rest.target.startsWith('/')) return problem(400, 'The path must begin with `/`.');
  const request = {
    ...rest,
    ...(method !== undefined && { method }),
    ...(text !== undefined && { body: text }),
    ...(credential === undefined ? { as: as ?? 'anonymous' } : { credential: bare(credential) }),
  };
  const earlyMs = credential === undefined ? 0 : call.pace.begin(call.session.remote);
  if (earlyMs > 0) return problem(429, tooEarly(earlyMs));
  const release = (await call.source.facts()).upstream.version;
  const answer = await answerTo(call, { kind: 'try', request, release });
  // Without an answer nothing is told of the credential.
  const isWrong = answer.status === 200 && (answer.body as Tried).principal === undefined;
  if (credential !== undefined && !isWrong) call.pace.right(call.session.remote);
  return answer;
}

function bare(credential: string): string {
  return credential.trim().replace(/^bearer[ \t]+/i, '');
}
