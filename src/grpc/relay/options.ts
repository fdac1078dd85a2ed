import type { Limits } from '../../config/schema.ts';
import type { ExchangeParts } from '../../exchange/exchange.ts';
import type { MemoryBudget } from '../../limits/memory-budget.ts';
import type { WorkScheduler } from '../../limits/work-scheduler.ts';
import type { Connections } from '../../net/connections.ts';
import type { AskUpstream } from '../answer.ts';
import type { MessageLimits } from '../message/message.ts';
import type { GrpcNodes } from '../nodes/node-choice.ts';
import type { GrpcUpstream } from '../unary/unary-call.ts';

/** Options common to all connections of a listener. */
export interface GrpcRelayOptions {
  readonly parts: ExchangeParts;
  /** One address, or several nodes, among which the calls of each connection are spread. */
  readonly upstream: GrpcUpstream | GrpcNodes;
  /** `gateway.limits`. */
  readonly limits: Limits;
  /** Limits of compressed messages. */
  readonly messageLimits: MessageLimits;
  /** True = the names in every message are read for the audit, even if no decision needs them. */
  readonly noteNames?: boolean;
  /** The gateway's own calls to upstream, for answers it gives itself. */
  readonly ask: AskUpstream;
  /** Of all answers that the process holds to change them, over REST as well. */
  readonly answerMemory: MemoryBudget;
  /** The scheduler of the thread, common to all connections. */
  readonly scheduler: WorkScheduler;
  /** The time in milliseconds. */
  readonly clock: () => number;
  readonly tls: boolean;
  /** The observer of client faults; optional. */
  readonly connections?: Connections | undefined;
}
