import type { Config } from '../../config/schema.ts';
import { nodeName } from '../../config/upstream/node-list.ts';
import { discoveredAddress, hasNodes, listedNodes } from '../../config/upstream/rules.ts';
import { authorityOf, parseUpstreamUrl, type UpstreamAddress } from '../../config/upstream-url.ts';
import { discoverNodes } from '../../upstream/nodes/discovery.ts';

/** A Qdrant behind a configuration. */
export interface UpstreamNode {
  /** As operators see it; `undefined` = it is the only one. */
  readonly name: string | undefined;
  readonly rest: UpstreamAddress;
  /** Null = gRPC is off, or it has no address of its own. */
  readonly grpc: UpstreamAddress | null;
}

/** All nodes, as they are listed or as DNS gives them now. Rejects if DNS does not. */
export async function upstreamNodes(config: Config): Promise<readonly UpstreamNode[]> {
  const { rest_url: rest, grpc_url: grpc } = config.gateway.upstream;
  const withGrpc = config.service.grpc_port !== null;
  if (!hasNodes(config)) {
    const address = rest === null ? null : parseUpstreamUrl(rest);
    if (address === null) return [];
    return [{ name: undefined, rest: address, grpc: withGrpc && grpc !== null ? parseUpstreamUrl(grpc) : null }];
  }
  const listed = listedNodes(config);
  const nodes = listed.length > 0 ? listed.map(({ rest, grpc }) => ({ rest, grpc })) : await discovered(config);
  return nodes.map((node) => ({ name: nodeName(node.rest), rest: node.rest, grpc: withGrpc ? node.grpc : null }));
}

async function discovered({ gateway }: Config): Promise<readonly Pick<UpstreamNode, 'rest' | 'grpc'>[]> {
  const { discovery } = gateway.upstream;
  const { dns, srv, rest_port: restPort, grpc_port: grpcPort, server } = discovery;
  const found = await discoverNodes({ name: dns ?? '', srv, restPort, server });
  return found.map(({ host, restPort: port }) => ({
    rest: discoveredAddress(discovery, host, port),
    grpc: discoveredAddress(discovery, host, grpcPort),
  }));
}

/** A check of one node: the node is named where there are several. */
export function checkOf(check: string, { name }: UpstreamNode): string {
  return name === undefined ? check : `${check} (${name})`;
}

/** Host and port, or the socket, in a message. */
export function placeOf(address: UpstreamAddress): string {
  return 'path' in address ? `unix:${address.path}` : authorityOf(address);
}
