import { LEAST_PACE } from '../limits/memory-budget.ts';
import { grpcTimeoutOf } from './call-timeout.ts';
import type { GrpcExchange } from './exchange.ts';
import { isUnary } from './resolve.ts';

/** Longest time without a frame, in milliseconds. */
export interface CallLimits {
  /** Of a call whose message is complete. */
  readonly stream_idle_timeout_ms: number;
  /** Of a call whose message is incomplete, or whose caller is unknown. */
  readonly body_idle_timeout_ms: number;
}

/**
 * Longest time without a frame for a call, in milliseconds. With an incomplete message it limits the client's pause
 * within a body. After that it is infinite for operations that may take hours, and never below the `grpc-timeout` of
 * the caller.
 */
export function callLimit(exchange: GrpcExchange, limits: CallLimits): number {
  const operation = exchange.resolution?.operation;
  const isComing = !exchange.clientEnded && (!operation || isUnary(operation));
  if (isComing || exchange.state === 'waiting' || exchange.state === 'inspecting' || exchange.state === 'collecting')
    return limits.body_idle_timeout_ms;
  if (operation?.long) return Number.POSITIVE_INFINITY;
  return Math.max(limits.stream_idle_timeout_ms, grpcTimeoutOf(exchange.headers) ?? 0);
}

/**
 * True = a message that is held until it is whole has come more slowly than `LEAST_PACE` for as long as its client may pause. To be
 * called about once a second.
 *
 * @param isRead false = its client is not read at the moment @param now milliseconds
 */
export function isDripped(exchange: GrpcExchange, limits: CallLimits, isRead: boolean, now: number): boolean {
  const { state, clientEnded, received, pace } = exchange;
  if (clientEnded || (state !== 'collecting' && state !== 'inspecting')) return false;
  const forMs = pace ? now - pace.since : 0;
  if (pace && isRead && forMs < limits.body_idle_timeout_ms) return false;
  exchange.pace = { since: now, received };
  return pace !== undefined && isRead && received - pace.received < (LEAST_PACE * forMs) / 1000;
}
