import { type Denial, UPSTREAM_BROKEN, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { Node, NodeFailure } from '../../upstream/nodes/node.ts';
import type { GrpcNodes } from '../nodes/node-choice.ts';
import { createGrpcAsker, type GrpcAsker } from './asker.ts';
import type { Answer } from './unary-answer.ts';

/** Most time of the first node, in milliseconds: a node that is silent leaves time for another. */
const FIRST_MS = 5000;

/** The outcomes that are no answer of a node, and how they count against it. */
const FAILURES: ReadonlyMap<Answer, NodeFailure> = new Map<Denial, NodeFailure>([
  [UPSTREAM_UNREACHABLE, 'unreachable'],
  [UPSTREAM_BROKEN, 'broken'],
  [UPSTREAM_TIMEOUT, 'timeout'],
]);

/**
 * The gateway's own calls when there are several nodes: each goes to one of them, and to another one if that does not answer.
 * Those that change something go to one node only.
 */
export function createNodesAsker(nodes: GrpcNodes, clock: () => number = () => performance.now()): GrpcAsker {
  const askers = new Map<Node, GrpcAsker>();
  const of = (node: Node): GrpcAsker => {
    const known = askers.get(node);
    if (known) return known;
    for (const [other, asker] of askers) {
      if (other.isMember || other.open > 0) continue;
      askers.delete(other);
      asker.close();
    }
    const { address, authority } = node.grpc ?? NO_PLACE;
    const made = createGrpcAsker({ address, authority, socket: nodes.socket, credential: nodes.credential }, clock);
    askers.set(node, made);
    return made;
  };
  const asked = async (node: Node, question: (asker: GrpcAsker) => Promise<Answer>): Promise<Answer> => {
    node.begun();
    try {
      const answer = await question(of(node));
      const failure = FAILURES.get(answer);
      if (failure) nodes.failed(node, failure);
      else nodes.answered(node);
      return answer;
    } finally {
      node.ended();
    }
  };
  return {
    async ask(path, message, caller) {
      const { exchange, signal } = caller;
      const first = nodes.choose(exchange, []);
      if ('kind' in first) return first;
      if (caller.once) return await asked(first, (asker) => asker.ask(path, message, caller));
      const answer = await asked(first, (asker) => asker.ask(path, message, { ...caller, mostMs: FIRST_MS }));
      if (!FAILURES.has(answer) || signal.aborted) return answer;
      const second = nodes.choose(exchange, [first]);
      return 'kind' in second ? answer : await asked(second, (asker) => asker.ask(path, message, caller));
    },
    async askOpen(path) {
      const first = nodes.choose(undefined, []);
      if ('kind' in first) return first;
      const answer = await asked(first, (asker) => asker.askOpen(path, FIRST_MS));
      const second = FAILURES.has(answer) ? nodes.choose(undefined, [first]) : UPSTREAM_UNREACHABLE;
      return 'kind' in second ? answer : await asked(second, (asker) => asker.askOpen(path));
    },
    close() {
      for (const asker of askers.values()) asker.close();
    },
  };
}

/** Never listens: a node without gRPC. */
const NO_PLACE = { address: { tls: false, host: '127.0.0.1', port: 0 }, authority: '' } as const;
