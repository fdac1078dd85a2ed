import type { Denial } from '../../policy/denial.ts';
import { connects } from '../connects.ts';
import type { UpstreamCredential } from '../credential.ts';
import type { RestUpstream } from '../http.ts';
import { createUpstreamLookup } from '../lookup.ts';
import type { SocketOptions } from '../sockets.ts';
import type { Node, NodeFailure } from './node.ts';
import type { NodeProbe } from './probes.ts';

/** Time limit of one question, in milliseconds. */
const PATIENCE_MS = 1_500;

/** Connections and credential of a probe. */
export interface ProbeWays {
  /** The REST port, for the probe alone; closed with it. */
  readonly rest: RestUpstream;
  /** The credential in force. */
  readonly credential: () => UpstreamCredential;
  /** For connections to the gRPC port. */
  readonly grpc: SocketOptions;
}

/**
 * Probes a node: `/readyz` on its REST port, and a connection to its gRPC port.
 */
export function probeOf(node: Node, { rest: upstream, credential, grpc }: ProbeWays): NodeProbe {
  const lookup = createUpstreamLookup(upstream, credential);
  return {
    async ready() {
      const rest = await lookup.ready(AbortSignal.timeout(PATIENCE_MS));
      if (typeof rest !== 'boolean') return failureOf(rest);
      if (!rest) return 'not-ready';
      return node.grpc ? await connects(node.grpc.address, grpc) : undefined;
    },
    async release() {
      const release = await lookup.version(AbortSignal.timeout(PATIENCE_MS));
      return typeof release === 'string' ? release : undefined;
    },
    close: () => void upstream.destroy(),
  };
}

function failureOf({ code }: Denial): NodeFailure {
  if (code === 'upstream_unreachable') return 'unreachable';
  return code === 'upstream_timeout' ? 'timeout' : 'broken';
}
