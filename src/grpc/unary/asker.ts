import { UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { Answer } from './unary-answer.ts';
import type { GrpcUpstream } from './unary-call.ts';
import { UnaryConnection } from './unary-connection.ts';

/** Milliseconds the gateway waits for an answer to a question of its own, where its caller does not wait longer, and at most. */
const ASK_TIMEOUT_MS = 30_000;
const LONGEST_MS = 86_400_000;
/** Connections that were given up and still have calls; with more than that there is no other. */
const MOST_RETIRED = 8;

/** Whose question it is. */
export interface Caller {
  /** Milliseconds the caller waits at least; 0 = it did not say. */
  readonly leastMs: number;
  /** Aborted when the caller has its answer, or waits no more. */
  readonly signal: AbortSignal;
}

export interface GrpcAsker {
  /** One unary call; message and answer without their prefix. A refusal of upstream's comes back as it is. */
  ask(path: string, message: Buffer, caller: Caller): Promise<Answer>;
  /** The same for an empty message to an open method: a question while a call is under way shares that call's answer. */
  askOpen(path: string): Promise<Answer>;
  close(): void;
}

/**
 * The gateway's own gRPC calls: open methods and filtered answers. One connection for all of them, so an
 * unauthenticated client costs no upstream connection. Only open methods share calls: a list asked for after a change has
 * to show it.
 *
 * The connection is opened by the first call, and again by the first one after it has ended. Another takes its place when the CA
 * has changed or nothing comes on it any more; calls under way are still answered on the one before.
 *
 * @param clock milliseconds
 */
export function createGrpcAsker(upstream: GrpcUpstream, clock: () => number = () => performance.now()): GrpcAsker {
  const open = new Set<UnaryConnection>();
  let connection: UnaryConnection | undefined;
  let trusted: Buffer | undefined;
  const replace = (): UnaryConnection => {
    connection?.retire();
    trusted = upstream.socket.ca;
    const begun = new UnaryConnection(upstream, clock, () => open.delete(begun));
    open.add(begun);
    connection = begun;
    return begun;
  };
  /** The connection that trusts the CA in force, and has not fallen silent. */
  const current = (): UnaryConnection => {
    if (!connection?.isOpen) return replace();
    const next = upstream.socket.ca;
    const isSame = next === trusted || (next !== undefined && trusted?.equals(next) === true);
    return isSame && !(connection.isSilent && open.size <= MOST_RETIRED) ? connection : replace();
  };
  const ask = async (by: UnaryConnection, path: string, message: Buffer, caller?: Caller): Promise<Answer> => {
    const end = clock() + longestOf(caller);
    const question = { path, message, signal: caller?.signal };
    const first = await by.call({ ...question, leftMs: end - clock() });
    if (first !== 'refused') return first;
    // Upstream has not looked at it: once more.
    const second = await current().call({ ...question, leftMs: Math.max(1, end - clock()) });
    return second === 'refused' ? UPSTREAM_UNREACHABLE : second;
  };
  const underWay = new Map<string, { readonly by: UnaryConnection; readonly asked: Promise<Answer> }>();
  const askOnce = async (by: UnaryConnection, path: string): Promise<Answer> => {
    try {
      return await ask(by, path, NO_MESSAGE);
    } finally {
      if (underWay.get(path)?.by === by) underWay.delete(path);
    }
  };
  return {
    ask: async (path, message, caller) => await ask(current(), path, message, caller),
    async askOpen(path) {
      const by = current();
      const known = underWay.get(path);
      if (known?.by === by) return await known.asked;
      const asked = askOnce(by, path);
      underWay.set(path, { by, asked });
      return await asked;
    },
    close() {
      for (const each of open) each.close();
    },
  };
}

const NO_MESSAGE = Buffer.alloc(0);

/** Milliseconds that an answer is waited for. */
export function longestOf(caller: Pick<Caller, 'leastMs'> | undefined): number {
  return Math.min(Math.max(ASK_TIMEOUT_MS, caller?.leastMs ?? 0), LONGEST_MS);
}
