import type { Exchange, Outcome } from '../exchange/exchange.ts';
import { tracingIdOf } from '../exchange/request-id.ts';
import type { Log } from './log.ts';

/**
 * The gateway's verdict beside that of an upstream that was shown the caller's own credential:
 * - `same`: both permit, or both refuse
 * - `upstream_refuses`: only upstream refuses
 * - `upstream_permits`: only the gateway refuses; seen in shadow mode, where it forwards all the same
 * - `undecided`: the gateway refuses, and upstream answered for another reason before its access check, or accepted the
 *   request without one (202)
 */
export const AGREEMENTS = ['same', 'upstream_refuses', 'upstream_permits', 'undecided'] as const;
export type Agreement = (typeof AGREEMENTS)[number];

/** Compares the verdicts on an exchange that has ended. `undefined` = upstream had no verdict on it. */
export function agreementOf(exchange: Exchange, { status }: Pick<Outcome, 'status'>): Agreement | undefined {
  const { resolution, forwardedAt, refusedThere, refusal, shadowed } = exchange;
  if (forwardedAt === 0 || resolution?.operation.requires.scope === 'public') return undefined;
  // A fault of the gateway or of upstream, or a client that has left, says nothing about access.
  if (!refusedThere && (refusal || status === undefined)) return undefined;
  const refusesHere = shadowed?.rule === 'policy';
  if (!refusesHere) return refusedThere ? 'upstream_refuses' : 'same';
  if (refusedThere) return 'same';
  return isServed(exchange, status) ? 'upstream_permits' : 'undecided';
}

/** Upstream: 202 comes before the access check (`?wait=false`, Qdrant v1.18.3). */
const ACCEPTED_UNCHECKED = 202;

function isServed({ protocol }: Exchange, status: number | undefined): boolean {
  if (status === undefined || status === ACCEPTED_UNCHECKED) return false;
  return protocol === 'grpc' ? status === 0 : status >= 200 && status < 300;
}

export interface ComparisonOptions {
  /** True = verdicts are compared (`gateway.upstream.compare`). */
  readonly isOn: () => boolean;
  readonly log: Pick<Log, 'warn'>;
  readonly count: (agreement: Agreement) => void;
}

/** An observer that compares the verdicts and logs one line for each difference. It changes no decision. */
export function createComparison({ isOn, log, count }: ComparisonOptions): (exchange: Exchange, end: Outcome) => void {
  return (exchange, outcome) => {
    if (!isOn()) return;
    const agreement = agreementOf(exchange, outcome);
    if (agreement === undefined) return;
    count(agreement);
    if (agreement !== 'upstream_refuses' && agreement !== 'upstream_permits') return;
    log.warn(describe(exchange, outcome), 'the gateway and qdrant differ');
  };
}

/** Names and verdicts, never a credential. */
function describe(exchange: Exchange, { status }: Outcome): object {
  const { protocol, resolution, principal, shadowed, refusal, refusedThere } = exchange;
  const target = resolution?.target;
  return {
    protocol,
    operation: resolution?.operation.name,
    collection: target?.kind === 'collection' ? target.name : exchange.references?.target,
    key: principal?.keyId,
    subject: principal?.subject,
    gateway: shadowed?.denial.code ?? 'permit',
    qdrant: refusedThere ? 'refused' : 'permit',
    status: refusal?.grpc ?? status,
    tracing_id: tracingIdOf(exchange),
  };
}
