import type { GrpcExchange } from './exchange.ts';
import { isUnary } from './resolve.ts';

/** Milliseconds without a frame. */
export interface CallLimits {
  /** Of a call whose message is there. */
  readonly streamIdleMs: number;
  /** Of one whose message is still coming, or whose caller is not known yet. */
  readonly bodyIdleMs: number;
}

const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 };

/**
 * How long (ms) a call may go without a frame. While its message is coming that is the client's pause in a body. Then it is for
 * ever where the call makes something that takes hours, and never less than its caller said it would wait.
 */
export function callLimit(exchange: GrpcExchange, limits: CallLimits): number {
  const operation = exchange.resolution?.operation;
  const isComing = !exchange.clientEnded && (!operation || isUnary(operation));
  if (isComing || exchange.state === 'waiting' || exchange.state === 'inspecting') return limits.bodyIdleMs;
  if (operation?.long) return Number.POSITIVE_INFINITY;
  return Math.max(limits.streamIdleMs, grpcTimeoutOf(exchange.headers) ?? 0);
}

/** The `grpc-timeout` (ms) among a call's fields; `undefined` = none that can be read. */
export function grpcTimeoutOf(fields: readonly string[]): number | undefined {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at] !== 'grpc-timeout') continue;
    const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(fields[at + 1] ?? '') ?? [];
    return digits === undefined || unit === undefined ? undefined : Number(digits) * (UNITS[unit] ?? 0);
  }
  return undefined;
}
