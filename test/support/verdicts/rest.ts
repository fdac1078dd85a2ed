import { isDeepStrictEqual } from 'node:util';
import { createAuthenticator } from '../../../src/identity/authenticate.ts';
import { createKeyRing } from '../../../src/identity/key-ring.ts';
import { type Decision, decide, decidePublic, settle } from '../../../src/policy/decide.ts';
import { decodeBody } from '../../../src/rest/body/content-coding.ts';
import { canNameNothing, inspectBody } from '../../../src/rest/body/inspect.ts';
import { renderRefusal } from '../../../src/rest/reject.ts';
import { createResolver } from '../../../src/rest/resolve.ts';
import type { RawAnswer, RawRequest } from '../clients/raw-http.ts';
import { KEYS } from '../gateway.ts';
import { byName, loadCaseFile } from './cells.ts';
import { credentialOf, type Grant } from './principals.ts';
import type { Verdict } from './verdicts.ts';

type Principals = Readonly<Record<string, Grant>>;

interface RecordedCase {
  readonly operation: string | null;
  readonly variant?: string;
  readonly method: string;
  readonly target: string;
  readonly type?: string;
  readonly body?: unknown;
  readonly text?: string;
  readonly served: Readonly<Record<string, string>>;
  readonly refused?: Readonly<Record<string, string>>;
  readonly checkedFirst?: string;
}

interface CrossCase {
  readonly operation: string;
  readonly what: string;
  readonly on: string;
  readonly body?: unknown;
  readonly text?: string;
  readonly served: number;
  readonly notListed: Readonly<Record<string, readonly string[]>>;
}

interface MatrixRow {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly text?: true;
  readonly refused: Readonly<Record<string, string>>;
}

interface Matrix {
  readonly principals: Principals;
  readonly refusals: Readonly<Record<string, string>>;
  readonly rows: readonly MatrixRow[];
}

const matrix = loadCaseFile<Matrix>('matrix-rest.json');

/** Every recorded REST verdict: each route, and bodies that name other collections. */
export function restVerdicts(): Verdict<RawRequest>[] {
  const routes = loadCaseFile<{ principals: Principals; cases: readonly RecordedCase[] }>('verdicts-rest.json');
  const cross = loadCaseFile<{ principals: Principals; cases: readonly CrossCase[] }>('cross-rest.json');
  return [
    ...routes.cases.flatMap((recorded) => verdictsOf(recorded, routes.principals)),
    ...cross.cases.flatMap((recorded) => crossVerdictsOf(recorded, cross.principals)),
  ];
}

function verdictsOf(recorded: RecordedCase, principals: Principals): Verdict<RawRequest>[] {
  const { method, target, variant, type } = recorded;
  const served = byName(recorded.served);
  const refused = byName(recorded.refused);
  const first = byName({ first: recorded.checkedFirst ?? '' });
  const body = recorded.text ?? (recorded.body === undefined ? undefined : JSON.stringify(recorded.body));
  return Object.entries(principals).map(([principal, grant]) => {
    const headers = [...credentialOf(principal, grant)];
    const typed = type === undefined ? headers : [...headers, ['content-type', type] as const];
    const answer = refused.get(principal) ?? `served ${served.get(principal)}`;
    return {
      file: 'verdicts-rest.json',
      case: `${method} ${target}${variant ? ` (${variant})` : ''}`,
      principal,
      grant,
      request: { method, target, headers: typed, body },
      recorded: answer,
      byMatrix: first.has(principal) ? refusalByMatrix(recorded, grant) : undefined,
    };
  });
}

/** What the matrix says where upstream answers before its access check. */
function refusalByMatrix({ operation, method }: RecordedCase, grant: Grant): string {
  const row = matrix.rows.find((candidate) => candidate.operation === operation && candidate.method === method);
  const alike = Object.entries(matrix.principals).find(([, given]) => given && isDeepStrictEqual(given, grant));
  const id = row && alike && Object.entries(row.refused).find(([, names]) => names.split(' ').includes(alike[0]))?.[0];
  if (!id) throw new TypeError(`the matrix has no such refusal: ${operation}`);
  return `403 ${row.text ? 'text: ' : ''}${matrix.refusals[id]}`;
}

function crossVerdictsOf(recorded: CrossCase, principals: Principals): Verdict<RawRequest>[] {
  const row = matrix.rows.find(({ operation }) => operation === recorded.operation);
  if (!row) throw new TypeError(`no such operation: ${recorded.operation}`);
  const target = row.path.replace('{collection}', recorded.on);
  const body = recorded.text ?? (recorded.body === undefined ? undefined : JSON.stringify(recorded.body));
  return Object.entries(principals).map(([principal, grant]) => {
    const name = Object.entries(recorded.notListed).find(([, who]) => who.includes(principal))?.[0];
    const refusal = name?.startsWith('! ') ? name.slice(2) : `Forbidden: Access to collection ${name} is required`;
    return {
      file: 'cross-rest.json',
      case: `${recorded.operation} on ${recorded.on}, ${recorded.what}`,
      principal,
      grant,
      request: {
        method: row.method,
        target,
        headers: [...credentialOf(principal, grant), ['content-type', 'application/json']],
        body,
      },
      recorded: name === undefined ? `served ${recorded.served}` : `403 ${refusal}`,
    };
  });
}

const resolve = createResolver({ staticContent: true });
const ring = createKeyRing(
  { apiKey: KEYS.admin, altApiKey: KEYS.alt, readOnlyApiKey: KEYS.readOnly, jwtRbac: true },
  1,
);
const { authenticate } = createAuthenticator({ ring, cacheEntries: 100, now: Date.now });

/** The whole way of a request without a socket: resolve, authenticate, decide, inspect, settle. */
export async function judgeRest({ method, target, headers, body }: RawRequest): Promise<string> {
  const { operation, target: aimedAt, refusal } = resolve(method, target);
  const rendered = (decision: Decision): string => {
    if (decision.kind !== 'denial') return 'served';
    const { status, headers, body } = renderRefusal(decision, operation.denial, 'r-1');
    const contentType = headers[0] === 'content-type' ? headers[1] : undefined;
    return outcomeOf(method, { status, contentType, text: body });
  };
  const open = decidePublic(operation);
  if (open) return rendered(refusal ?? open);
  const identity = await authenticate(headers.flat());
  if (identity.kind === 'denial') return rendered(identity);
  const decision = refusal ?? decide(identity.access, operation, aimedAt);
  if (decision.kind !== 'conditional') return rendered(decision);
  const decoded = await decodeBody(Buffer.from(body ?? ''), [], 1 << 20);
  if (!Buffer.isBuffer(decoded)) return rendered(decoded);
  if (canNameNothing(decoded)) return rendered(settle(decision, { others: [] }));
  if (!operation.inspect) throw new TypeError('a conditional without an inspector');
  const found = inspectBody(operation.inspect, decoded, { maxDepth: 64, maxPrefetchDepth: 32 });
  return rendered('kind' in found ? found : settle(decision, found));
}

/** The outcome of an answer the gateway gave itself. */
export function outcomeOf(method: string, { status, contentType, text }: RawAnswer): string {
  if (method === 'HEAD') return String(status);
  if (contentType === undefined) return `${status} ${/^Forbidden/.test(text) ? 'bare: ' : ''}${text}`.trim();
  if (contentType !== 'application/json') return `${status} text: ${text}`;
  const envelope = JSON.parse(text) as { status: { error: string } };
  return `${status} ${envelope.status.error}`;
}
