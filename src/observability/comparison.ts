import { bounded } from '../audit/event.ts';
import type { Exchange, Outcome } from '../exchange/exchange.ts';
import { tracingIdOf } from '../exchange/request-id.ts';
import { clientNetworkOf } from '../limits/peer-address.ts';
import { type Later, laterHere } from './exchange-log.ts';
import { type FoldedFields, FoldedRefusals, type WriteRefusal } from './folded-refusals.ts';
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
  /** Calls `work` once, after so many milliseconds. Default: by a timer that keeps no process alive. */
  readonly later?: Later;
}

const TEXTS = {
  ofCaller: 'the gateway and qdrant differ on further requests of this caller',
  ofOthers: 'the gateway and qdrant differ on requests of further callers',
};

/** An observer that compares the verdicts and logs differences, folded as refusals are. It changes no decision. */
export function createComparison({
  isOn,
  log,
  count,
  later = laterHere,
}: ComparisonOptions): (exchange: Exchange, end: Outcome) => void {
  const write: WriteRefusal = (fields, message) => log.warn(fields, message);
  const folded = new FoldedRefusals({ write, later, texts: TEXTS });
  return (exchange, outcome) => {
    if (!isOn()) return;
    const agreement = agreementOf(exchange, outcome);
    if (agreement === undefined) return;
    count(agreement);
    if (agreement !== 'upstream_refuses' && agreement !== 'upstream_permits') return;
    folded.add('the gateway and qdrant differ', describe(exchange, outcome), clientNetworkOf(exchange.remote));
  };
}

/** Names and verdicts, never a credential. */
function describe(exchange: Exchange, { status }: Outcome): FoldedFields {
  const { protocol, resolution, principal, shadowed, refusal, refusedThere } = exchange;
  const target = resolution?.target;
  const collection = target?.kind === 'collection' ? target.name : exchange.references?.target;
  const subject = principal?.subject;
  return {
    protocol,
    operation: resolution?.operation.name,
    collection: collection === undefined ? undefined : bounded(collection),
    key: principal?.keyId,
    subject: subject === undefined ? undefined : bounded(subject),
    gateway: shadowed?.denial.code ?? 'permit',
    qdrant: refusedThere ? 'refused' : 'permit',
    status: refusal?.grpc ?? status,
    tracing_id: tracingIdOf(exchange),
  };
}
