import { reasonIn } from '../exchange/break-glass.ts';
import type { Exchange, Outcome, Resolution } from '../exchange/exchange.ts';
import { refusedKeyOf } from '../exchange/refused-key.ts';
import { tracingIdOf } from '../exchange/request-id.ts';
import type { References } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { DenialCode } from '../policy/denial-codes.ts';
import type { Operation, Target } from '../policy/operation.ts';
import type { Rule, Shadowed } from '../policy/rules.ts';
import { type AuditEvent, bounded, boundedLong, boundedNames, certificateNames } from './event.ts';
import { type RemoteTrust, remoteOf } from './remote.ts';
import { requestEvent } from './request-event.ts';

/** Parameters of an event beside the exchange. */
export interface RecordOptions {
  readonly trust: RemoteTrust;
  /** Include the path or method in each event. */
  readonly logApi: boolean;
  /** The first rule that refuses. */
  readonly firstRefusal: (
    rules: readonly Rule[],
    operation: Operation,
    target: Target,
    found: References | undefined,
  ) => Shadowed | undefined;
}

/** Time and id of an event. */
export interface RecordMoment {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Monotonic milliseconds, on the exchange's clock. */
  readonly now: number;
}

/** The event of an exchange that has ended. `undefined` = not audited: public operations. */
export function recordOf(
  exchange: Exchange,
  outcome: Outcome,
  moment: RecordMoment,
  options: RecordOptions,
): AuditEvent | undefined {
  const { resolution, principal, shadowed } = exchange;
  const operation = resolution?.operation;
  if (operation?.requires.scope === 'public') return undefined;
  const collection = resolution?.target.kind === 'collection' ? resolution.target.name : exchange.references?.target;
  const names = collection === undefined ? [] : [collection];
  const verdict = verdictOf(exchange);
  const refusedKey = refusedKeyOf(exchange);
  const rule =
    exchange.refusal?.reached?.limit ??
    (resolution && verdict.judged ? ruleOf(exchange, resolution, options) : undefined) ??
    exchange.passedRail;
  return {
    timestamp: new Date(moment.at).toISOString(),
    method: verdict.authenticating ? undefined : (operation?.audit ?? operation?.name ?? 'unresolved'),
    api: options.logApi || verdict.authenticating ? boundedLong(pathOf(exchange.requestTarget)) : undefined,
    auth_type: principal?.authType ?? 'None',
    subject: principal?.subject === undefined ? undefined : bounded(principal.subject),
    remote: remoteOf(exchange, options.trust) || undefined,
    collection: collection === undefined ? undefined : bounded(collection),
    tracing_id: tracingIdOf(exchange),
    result: verdict.result,
    error: verdict.error === undefined ? undefined : boundedLong(verdict.error),
    id: moment.id,
    key: principal?.keyId ?? refusedKey?.id,
    key_name: (principal?.key ?? refusedKey)?.name,
    key_owner: (principal?.key ?? refusedKey)?.owner,
    mappings: principal?.mappings,
    token_id: principal?.minted === undefined ? undefined : bounded(principal.minted.id),
    certificate: certificateNames(exchange.certificate?.kind === 'certificate' ? exchange.certificate : undefined),
    operation: operation?.name ?? 'unresolved',
    protocol: exchange.protocol,
    ...boundedNames([...names, ...(exchange.references?.others ?? [])]),
    code: verdict.code,
    rule,
    event: requestEvent(exchange, verdict.denial, rule),
    reason: principal?.breakGlass ? reasonIn(exchange.headers) : undefined,
    would_deny: shadowed && {
      ...{ rule: shadowed.rule, code: shadowed.denial.code },
      error: boundedLong(textOf(shadowed.denial)),
    },
    status: outcome.status,
    upstream_status: upstreamStatus(exchange, outcome),
    duration_ms: Math.max(0, Math.round((moment.now - exchange.startedAt) * 1000) / 1000),
    bytes_in: outcome.received,
    bytes_out: outcome.sent,
  };
}

/** The path as received, without query, and without the authority of an absolute target. */
function pathOf(requestTarget: string): string {
  const end = requestTarget.search(/[?#]/);
  const bare = end === -1 ? requestTarget : requestTarget.slice(0, end);
  return bare.startsWith('/') ? bare : bare.replace(/^[a-z]+:\/\/[^/]*/i, '') || '/';
}

interface Verdict {
  readonly result: AuditEvent['result'];
  readonly error: string | undefined;
  readonly code: DenialCode | undefined;
  /** The refusal, if it was one of the gateway before upstream was asked. */
  readonly denial: Denial | undefined;
  /** True = the credential was refused. */
  readonly authenticating: boolean;
  /** True = the access was refused. */
  readonly judged: boolean;
}

/** `denied` = refused before upstream was asked. A failure after a permit is `ok` with an error. */
function verdictOf({ decision, refusal }: Exchange): Verdict {
  const plain = { authenticating: false, judged: false, denial: undefined };
  if (decision?.kind === 'permit') {
    if (!refusal) return { result: 'ok', error: undefined, code: undefined, ...plain };
    const told = { error: textOf(refusal), code: refusal.code };
    return refusal.why === 'fault'
      ? { result: 'ok', ...told, ...plain }
      : { result: 'denied', ...told, ...plain, denial: refusal };
  }
  const denial = decision?.kind === 'denial' ? decision : refusal;
  if (!denial) return { result: 'denied', error: 'the client left before a decision', code: undefined, ...plain };
  const { why } = denial;
  return {
    result: 'denied',
    error: textOf(denial),
    code: denial.code,
    authenticating: why === 'authentication',
    // A reason that is missing is no matter of rules.
    judged: why === 'access' && denial.code !== 'reason_required',
    denial,
  };
}

/** Upstream: the answer about a refused credential lacks the word with which the audit log begins. */
function textOf({ message, why, status }: Denial): string {
  if (why === 'authentication') return `${status === 401 ? 'Unauthorized' : 'Forbidden'}: ${message}`;
  // Upstream: the answer for an unknown route has no text.
  return message === '' && why === 'unknown' ? 'unknown operation' : message;
}

function ruleOf(
  { principal, references, rail }: Exchange,
  { operation, target }: Resolution,
  { firstRefusal }: RecordOptions,
): string | undefined {
  if (rail !== undefined) return rail;
  const enforced = principal?.bounds?.enforced;
  return enforced && firstRefusal(enforced, operation, target, references)?.rule;
}

/** A status other than the refusal's own is upstream's: its answer had begun before the failure. */
function upstreamStatus({ forwardedAt, refusal, protocol }: Exchange, { status }: Outcome): number | null {
  if (forwardedAt === 0 || status === undefined) return null;
  const ours = protocol === 'rest' ? refusal?.status : refusal?.grpc;
  return status === ours ? null : status;
}
