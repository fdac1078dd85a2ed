import { isDeepStrictEqual } from 'node:util';
import { createInspector } from '../../../src/grpc/message/inspect.ts';
import { resolveGrpc } from '../../../src/grpc/resolve.ts';
import { createAuthenticator } from '../../../src/identity/authenticate.ts';
import { createKeyRing } from '../../../src/identity/key-ring.ts';
import { type Decision, decide, decidePublic, settle } from '../../../src/policy/decide.ts';
import { framed, type RawCall } from '../clients/raw-grpc.ts';
import { KEYS } from '../gateway.ts';
import { byName, loadCaseFile } from './cells.ts';
import { credentialOf, type Grant } from './principals.ts';
import type { Verdict } from './verdicts.ts';

type Principals = Readonly<Record<string, Grant>>;

interface RecordedCase {
  readonly path: string;
  readonly variant?: string;
  readonly hex: string;
  readonly served: string;
  /** Upstream's own answer, before or after its access check: principals by code. */
  readonly answered?: Readonly<Record<string, string>>;
  /** Principals by code and text. */
  readonly refused?: Readonly<Record<string, string>>;
  readonly checkedFirst?: string;
}

interface Matrix {
  readonly principals: Principals;
  readonly refusals: Readonly<Record<string, string>>;
  readonly rows: readonly MatrixRow[];
}

interface MatrixRow {
  readonly method: string;
  readonly requires: string;
  readonly filter?: string;
  readonly streams?: true;
  readonly refused: Readonly<Record<string, string>>;
}

const matrix = loadCaseFile<Matrix>('matrix-grpc.json');

/** Every recorded gRPC verdict: each method, and messages that name other collections. */
export function grpcVerdicts(): Verdict<RawCall>[] {
  return ['verdicts-grpc.json', 'cross-grpc.json'].flatMap((file) => {
    const { principals, cases } = loadCaseFile<{ principals: Principals; cases: readonly RecordedCase[] }>(file);
    return cases.flatMap((recorded) => verdictsOf(file, recorded, principals));
  });
}

function verdictsOf(file: string, recorded: RecordedCase, principals: Principals): Verdict<RawCall>[] {
  const { path, variant, hex } = recorded;
  const served = byName({ served: recorded.served });
  const answered = byName(recorded.answered);
  const refused = byName(recorded.refused);
  const first = byName({ first: recorded.checkedFirst ?? '' });
  const row = matrix.rows.find(({ method }) => method === path);
  return Object.entries(principals).map(([principal, grant]) => {
    const own = answered.has(principal) ? `served ${answered.get(principal)}` : refused.get(principal);
    const answer = served.get(principal) ?? own;
    if (!answer) throw new TypeError(`${path} as ${principal}: nothing recorded`);
    const headers = credentialOf(principal, grant);
    return {
      file,
      case: `${path}${variant ? ` (${variant})` : ''}`,
      principal,
      grant,
      request: { method: path, headers, message: Buffer.from(hex, 'hex'), streams: row?.streams },
      recorded: answer,
      byMatrix: first.has(principal) ? refusalByMatrix(row, grant) : undefined,
    };
  });
}

/** What the matrix says where upstream answers before its access check. */
function refusalByMatrix(row: MatrixRow | undefined, grant: Grant): string {
  const refusedAs = (name: string | undefined): string | undefined =>
    Object.entries(row?.refused ?? {}).find(([, names]) => names.split(' ').includes(name ?? ''))?.[0];
  const alike = Object.entries(matrix.principals).find(([, given]) => given && isDeepStrictEqual(given, grant));
  // Where the target cannot be read, or is not in the list, a list is as good as one that names another collection.
  const id = refusedAs(alike?.[0]) ?? (typeof grant === 'object' ? refusedAs('list-other') : undefined);
  if (!id) throw new TypeError(`the matrix has no such refusal: ${row?.method}`);
  return `7 ${matrix.refusals[id]}`;
}

/** Does the gateway ask upstream itself for this call, with a message of its own? */
export function isAskedByGateway({ request, grant }: Verdict<RawCall>): boolean {
  const row = matrix.rows.find(({ method }) => method === request.method);
  return row?.requires === 'public' || (row?.filter !== undefined && typeof grant === 'object' && grant !== null);
}

const ring = createKeyRing(
  { apiKey: KEYS.admin, altApiKey: KEYS.alt, readOnlyApiKey: KEYS.readOnly, jwtRbac: true },
  1,
);
const { authenticate } = createAuthenticator({ ring, cacheEntries: 100, now: Date.now });

/** The whole way of a call without a socket: resolve, authenticate, decide, inspect, settle. */
export async function judgeGrpc({ method, headers, message }: RawCall): Promise<string> {
  const { operation, target } = resolveGrpc(method);
  const open = decidePublic(operation);
  if (open) return outcomeOf(open);
  const identity = await authenticate(headers.flat());
  if (identity.kind === 'denial') return outcomeOf(identity);
  const decision = decide(identity.access, operation, target);
  if (decision.kind !== 'conditional') return outcomeOf(decision);
  const inspector = createInspector(operation, { encoding: undefined });
  inspector.push(framed(message));
  inspector.end();
  const found = inspector.found(decision.access);
  if (!found) throw new TypeError('the message is still being read at its end');
  return outcomeOf('kind' in found ? found : settle(decision, found));
}

function outcomeOf(decision: Decision): string {
  return decision.kind === 'denial' ? `${decision.grpc} ${decision.message}`.trim() : 'served';
}
