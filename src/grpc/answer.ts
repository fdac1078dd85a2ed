import type { Permit } from '../policy/decide.ts';
import { type Denial, GrpcCode, UPSTREAM_BROKEN } from '../policy/denial.ts';
import type { GrpcExchange } from './grpc-exchange.ts';
import { filterMessage } from './response-filter.ts';

/** One unary call of the gateway's own. The message goes and comes without its prefix; a denial carries upstream's refusal. */
export type AskUpstream = (path: string, message: Buffer) => Promise<Answer>;

export type Answer = { readonly kind: 'message'; readonly message: Buffer } | Denial;

/** Asks what the client asked and makes the answer the client may see. */
export type Question = (ask: AskUpstream, permit: Permit) => Promise<Answer>;

const EMPTY = Buffer.alloc(0);

/**
 * How the gateway answers a call itself, or `undefined` when it is relayed.
 *
 * - Open methods reach anybody, and upstream ends when it decodes a message nested deeply enough; so upstream is asked
 *   with a fresh empty message and never sees the client's.
 * - Filtered answers are asked for and filtered. The question is rebuilt from what was decided on.
 */
export function answerFor(exchange: GrpcExchange, permit: Permit): Question | undefined {
  const { operation, visible } = permit;
  if (operation.requires.scope === 'public') return (ask) => askOpen(ask, exchange.head.path, operation.name);
  const { filter } = operation;
  if (!filter || !visible) return undefined;
  const message = exchange.target === undefined ? EMPTY : nameField(exchange.target);
  return async (ask) => {
    const answer = await ask(exchange.head.path, message);
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

/** Upstream: no health service before Qdrant v1.6.0; there it is healthy when it tells its release. */
async function askOpen(ask: AskUpstream, path: string, name: string): Promise<Answer> {
  const answer = await ask(path, EMPTY);
  const missing = answer.kind === 'denial' && answer.code === GrpcCode.unimplemented;
  if (!missing || name !== 'grpc.health.v1.Health/Check') return answer;
  const release = await ask('/qdrant.Qdrant/HealthCheck', EMPTY);
  return release.kind === 'message' ? { kind: 'message', message: SERVING } : release;
}

/** A message that holds only the collection name, field 1 of every request that is filtered. */
function nameField(name: string): Buffer {
  const bytes = Buffer.from(name, 'utf8');
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >>> 7];
  return Buffer.concat([Buffer.from([0x0a, ...length]), bytes]);
}
