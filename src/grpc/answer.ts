import { shareOwner } from '../exchange/share-owner.ts';
import { CREDENTIAL_HEADERS } from '../identity/credential.ts';
import type { MemoryBudget } from '../limits/memory-budget.ts';
import type { Permit } from '../policy/decide.ts';
import { ANSWERS_BUSY, GrpcCode, UPSTREAM_BROKEN } from '../policy/denial.ts';
import type { UpstreamCredential } from '../upstream/credential.ts';
import { answerSlotsOf } from './answer-slots.ts';
import { grpcTimeoutOf } from './call-timeout.ts';
import type { GrpcExchange } from './exchange.ts';
import { filterMessage } from './message/response-filter.ts';
import type { GrpcAsker } from './unary/asker.ts';
import type { Answer } from './unary/unary-answer.ts';

/** The gateway's own unary calls to upstream. Messages have no prefix; a denial carries upstream's refusal. */
export type AskUpstream = Pick<GrpcAsker, 'ask' | 'askOpen'>;

/** Sends the client's request and makes the answer that the client may see. @param signal aborted when the call ends */
export type Question = (upstream: AskUpstream, permit: Permit, signal: AbortSignal) => Promise<Answer>;

const EMPTY = Buffer.alloc(0);

/** Codes with which upstream refuses a credential. */
const REFUSING: ReadonlySet<GrpcCode> = new Set([GrpcCode.unauthenticated, GrpcCode.permissionDenied]);

/**
 * The gateway's own answer to a call, or `undefined` if the call is relayed.
 *
 * @param credential what upstream is shown
 * @param memory of all answers that are held
 *
 * - Open methods need no credential, and upstream crashes when it decodes a deeply nested message; so the gateway sends
 *   a new empty message and upstream never sees the client's.
 * - Filtered answers are requested and filtered here. The request is rebuilt from the decision.
 */
export function answerFor(
  exchange: GrpcExchange,
  permit: Permit,
  credential: UpstreamCredential,
  memory: MemoryBudget,
): Question | undefined {
  const { operation, visible } = permit;
  if (operation.requires.scope === 'public') return (upstream) => askOpen(upstream, pathOf(exchange));
  const { filter } = operation;
  if (!filter || !visible) return undefined;
  const message = exchange.target === undefined ? EMPTY : nameField(exchange.target);
  const owner = shareOwner(exchange);
  const leastMs = grpcTimeoutOf(exchange.headers) ?? 0;
  return async (upstream, _permit, signal) => {
    const place = await answerSlotsOf(memory).lists.wait(owner, { leastMs, signal, exchange });
    if (!place) return ANSWERS_BUSY;
    const shown = credential.kind === 'callers' ? credentialFields(exchange.headers) : undefined;
    const answer = await upstream.ask(pathOf(exchange), message, { leastMs, shown, signal, exchange, place });
    if (answer.kind === 'denial') {
      exchange.refusedThere = shown !== undefined && REFUSING.has(answer.grpc);
      return answer;
    }
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

/** Upstream: no health service before Qdrant v1.6.0; such a release is healthy if it reports its version. */
async function askOpen(upstream: AskUpstream, path: string): Promise<Answer> {
  const answer = await upstream.askOpen(path);
  const missing = answer.kind === 'denial' && answer.grpc === GrpcCode.unimplemented;
  if (!missing || path !== HEALTH_SERVICE) return answer;
  const release = await upstream.askOpen(HEALTH_CHECK);
  return release.kind === 'message' ? { kind: 'message', message: SERVING } : release;
}

/** The path of the row: a query of the client is not forwarded. */
function pathOf(exchange: GrpcExchange): string {
  return exchange.resolution?.operation.path ?? exchange.head.path;
}

/** The credential fields of a caller, as they came: name, value, ... */
export function credentialFields(headers: readonly string[]): readonly string[] {
  const fields: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? '';
    if (CREDENTIAL_HEADERS.includes(name)) fields.push(name, headers[at + 1] ?? '');
  }
  return fields;
}

/** A message with only the collection name, field 1 of every request with a filtered answer. */
function nameField(name: string): Buffer {
  const bytes = Buffer.from(name, 'utf8');
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >>> 7];
  return Buffer.concat([Buffer.from([0x0a, ...length]), bytes]);
}
