import type { GrpcNodes } from '../../src/grpc/nodes/node-choice.ts';
import { UPSTREAM_UNREACHABLE } from '../../src/policy/denial.ts';
import { NO_CREDENTIAL } from '../../src/upstream/credential.ts';
import { NodeSet } from '../../src/upstream/nodes/node-set.ts';

/** Nodes of this machine, by the ports of gRPC. The same choices each time. */
export function nodesAt(ports: readonly number[]): NodeSet {
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
  const nodes = new NodeSet({ now: () => performance.now(), random });
  const list = ports.map((port) => {
    const place = { address: { tls: false, host: '127.0.0.1', port }, authority: `127.0.0.1:${port}` };
    return { name: `127.0.0.1:${port}`, rest: place, grpc: place, weight: 1 };
  });
  nodes.configure(list, true);
  return nodes;
}

/** The calls of a relay take any of the nodes; those without `Upsert` in their path may be sent again. */
export function spreadOver(nodes: () => NodeSet): GrpcNodes {
  return {
    waiting: { bytes: 0 },
    credential: () => NO_CREDENTIAL,
    socket: { connectTimeoutMs: 10_000, ca: undefined, alpn: ['h2'] },
    choose: (_, tried) => nodes().choose(undefined, tried) ?? UPSTREAM_UNREACHABLE,
    takesAny: () => true,
    isRepeatable: ({ head }) => !head.path.includes('Upsert'),
    leavesOut: ({ state }) => state === 'ejected',
    answered: (node) => nodes().answered(node),
    failed: (node, failure) => nodes().failed(node, failure),
  };
}
