import type { Permit } from '../policy/decide.ts';
import { ANSWERS_BUSY, type Denial, GrpcCode, UPSTREAM_BROKEN } from '../policy/denial.ts';
import type { Caller } from '../upstream/ask-grpc.ts';
import type { GrpcExchange } from './exchange.ts';
import { grpcTimeoutOf } from './idle-limits.ts';
import { ListPlaces } from './list-places.ts';
import { filterMessage } from './message/response-filter.ts';

/** The gateway's own unary calls. A message goes and comes without its prefix; a denial carries upstream's refusal. */
export interface AskUpstream {
  ask(path: string, message: Buffer, caller: Caller): Promise<Answer>;
  /** An empty message to an open method; calls under way may be shared. */
  askOpen(path: string): Promise<Answer>;
}

export type Answer = { readonly kind: 'message'; readonly message: Buffer } | Denial;

/** Asks what the client asked and makes the answer the client may see. @param signal aborted when the call has ended */
export type Question = (upstream: AskUpstream, permit: Permit, signal: AbortSignal) => Promise<Answer>;

const EMPTY = Buffer.alloc(0);

/** Of the process. */
const places = new ListPlaces();

/**
 * How the gateway answers a call itself, or `undefined` when it is relayed.
 *
 * - Open methods reach anybody, and upstream ends when it decodes a message nested deeply enough; so upstream is asked
 *   with a fresh empty message and never sees the client's.
 * - Filtered answers are asked for and filtered. The question is rebuilt from what was decided on.
 */
export function answerFor(exchange: GrpcExchange, permit: Permit): Question | undefined {
  const { operation, visible } = permit;
  if (operation.requires.scope === 'public') return (upstream) => askOpen(upstream, pathOf(exchange));
  const { filter } = operation;
  if (!filter || !visible) return undefined;
  const message = exchange.target === undefined ? EMPTY : nameField(exchange.target);
  const owner = exchange.principal ?? exchange.remote;
  const leastMs = grpcTimeoutOf(exchange.headers) ?? 0;
  return async (upstream, _permit, signal) => {
    if (!(await places.wait(owner, { leastMs, signal }))) return ANSWERS_BUSY;
    const answer = await upstream.ask(pathOf(exchange), message, { leastMs, signal });
    if (answer.kind === 'denial') return answer;
    try {
      return { kind: 'message', message: filterMessage(filter, answer.message, visible) };
    } catch {
      return UPSTREAM_BROKEN;
    }
  };
}

/** grpc.health.v1: `HealthCheckResponse{status: SERVING}`. */
const SERVING = Buffer.from([0x08, 0x01]);

const HEALTH_SERVICE = '/grpc.health.v1.Health/Check';
const HEALTH_CHECK = '/qdrant.Qdrant/HealthCheck';

/** Upstream: no health service before Qdrant v1.6.0; there it is healthy when it tells its release. */
async function askOpen(upstream: AskUpstream, path: string): Promise<Answer> {
  const answer = await upstream.askOpen(path);
  const missing = answer.kind === 'denial' && answer.grpc === GrpcCode.unimplemented;
  if (!missing || path !== HEALTH_SERVICE) return answer;
  const release = await upstream.askOpen(HEALTH_CHECK);
  return release.kind === 'message' ? { kind: 'message', message: SERVING } : release;
}

/** The row's own path: a query the client added is not repeated. */
function pathOf(exchange: GrpcExchange): string {
  return exchange.resolution?.operation.path ?? exchange.head.path;
}

/** A message that holds only the collection name, field 1 of every request that is filtered. */
function nameField(name: string): Buffer {
  const bytes = Buffer.from(name, 'utf8');
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >>> 7];
  return Buffer.concat([Buffer.from([0x0a, ...length]), bytes]);
}
