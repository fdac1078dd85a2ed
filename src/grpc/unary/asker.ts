import { UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { AnswerPlace } from '../answer-place.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { Answer } from './unary-answer.ts';
import type { GrpcUpstream } from './unary-call.ts';
import { UnaryConnection } from './unary-connection.ts';

/**
 * Time limit of the gateway's own call, in milliseconds: the default, and the upper limit of a longer one by its
 * caller.
 */
const ASK_TIMEOUT_MS = 30_000;
const LONGEST_MS = 86_400_000;
/** Most retired connections with open calls; beyond that no other connection is opened. */
const MOST_RETIRED = 8;

/** The caller of a question. */
export interface Caller {
  /** The caller's own time limit in milliseconds; 0 = none. */
  readonly leastMs: number;
  /** Name, value, ...: the credential of the caller. Default: the gateway's own. */
  readonly shown?: readonly string[] | undefined;
  /** Further headers: name, value, ... Default: none. */
  readonly added?: readonly string[] | undefined;
  /** True = it changes something: it goes to one node, and to no other one. */
  readonly once?: boolean;
  /** Aborted when the caller has left or needs no answer. */
  readonly signal: AbortSignal;
  /** The call that is answered: it decides the node if there are several. Default: any node. */
  readonly exchange?: GrpcExchange;
  /** The memory that its answer takes. Default: it is not counted, so it must be small. */
  readonly place?: AnswerPlace;
  /** Upper limit of all others, in milliseconds. Default: none. */
  readonly mostMs?: number;
}

export interface GrpcAsker {
  /** Makes one unary call; message and answer have no prefix. A refusal of upstream is returned unchanged. */
  ask(path: string, message: Buffer, caller: Caller): Promise<Answer>;
  /**
   * Sends an empty message to an open method. A pending call of the same method is shared.
   *
   * @param mostMs time limit in milliseconds; default: that of all questions
   */
  askOpen(path: string, mostMs?: number): Promise<Answer>;
  close(): void;
}

/**
 * The gateway's own gRPC calls: open methods and filtered answers. All use one connection, so an unauthenticated client
 * costs no upstream connection. Only open methods share calls: a list that is requested after a change must contain it.
 *
 * The first call opens the connection, and the first one after its end opens it again. It is replaced after a change of
 * the CA, or when nothing arrives on it any more; its open calls are still answered on it.
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
  /** The connection with the CA in force, unless it is silent. */
  const current = (): UnaryConnection => {
    if (!connection?.isOpen) return replace();
    const next = upstream.socket.ca;
    const isSame = next === trusted || (next !== undefined && trusted?.equals(next) === true);
    return isSame && !(connection.isSilent && open.size <= MOST_RETIRED) ? connection : replace();
  };
  const ask = async (by: UnaryConnection, path: string, message: Buffer, caller?: Partial<Caller>): Promise<Answer> => {
    const end = clock() + longestOf(caller);
    const question = {
      path,
      message,
      shown: caller?.shown,
      added: caller?.added,
      signal: caller?.signal,
      place: caller?.place,
    };
    const first = await by.call({ ...question, leftMs: end - clock() });
    if (first !== 'refused') return first;
    // Upstream has not processed it: retried once.
    const second = await current().call({ ...question, leftMs: Math.max(1, end - clock()) });
    return second === 'refused' ? UPSTREAM_UNREACHABLE : second;
  };
  const underWay = new Map<string, { readonly by: UnaryConnection; readonly asked: Promise<Answer> }>();
  const askOnce = async (by: UnaryConnection, path: string, mostMs: number | undefined): Promise<Answer> => {
    try {
      return await ask(by, path, NO_MESSAGE, mostMs === undefined ? undefined : { mostMs });
    } finally {
      if (underWay.get(path)?.by === by) underWay.delete(path);
    }
  };
  return {
    ask: async (path, message, caller) => await ask(current(), path, message, caller),
    async askOpen(path, mostMs) {
      const by = current();
      const known = underWay.get(path);
      if (known?.by === by) return await known.asked;
      const asked = askOnce(by, path, mostMs);
      underWay.set(path, { by, asked });
      return await asked;
    },
    close() {
      for (const each of open) each.close();
    },
  };
}

const NO_MESSAGE = Buffer.alloc(0);

/** Time limit of a caller's call, in milliseconds. */
export function longestOf(caller: Partial<Pick<Caller, 'leastMs' | 'mostMs'>> | undefined): number {
  return Math.min(Math.max(ASK_TIMEOUT_MS, caller?.leastMs ?? 0), LONGEST_MS, caller?.mostMs ?? LONGEST_MS);
}
