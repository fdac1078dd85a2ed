import { z } from 'zod';
import {
  choice,
  DAY_MS,
  flag,
  key,
  live,
  MILLISECONDS,
  nodeList,
  optionalText,
  upstreamUrl,
  whole,
} from '../option-kinds.ts';
import { nodeListText } from './node-list.ts';

const discovery = z.strictObject({
  dns: live(
    optionalText('name whose addresses are the nodes, asked again all the time; instead of `gateway.upstream.nodes`'),
  ),
  srv: live(flag(false, 'the name has SRV records: they give hosts and REST ports, in place of addresses')),
  rest_port: live(whole([1, 65_535], 6333, 'REST port of the nodes')),
  grpc_port: live(whole([1, 65_535], 6334, 'gRPC port of the nodes')),
  tls: live(flag(false, 'the nodes are reached with TLS, on both ports')),
  server_name: live(
    z
      .string()
      .regex(/^(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$/)
      .refine((name) => !/^[0-9.]+$/.test(name))
      .nullable()
      .default(null)
      .meta({
        description:
          'with TLS: name that the certificates of the nodes have to be for; unset: `dns`, without the labels of a service (`_http._tcp`)',
        'x-allowed': 'a host name',
      }),
  ),
  server: live(
    z
      .string()
      .regex(/^(\[[0-9a-fA-F:.]+\]|[0-9.]+):[0-9]{1,5}$/)
      .nullable()
      .default(null)
      .meta({ description: 'DNS server to ask; unset: those of the machine', 'x-allowed': 'address:port' }),
  ),
  refresh_ms: live(whole([100, DAY_MS], 5000, 'time after which the name is asked again')),
});

/** `gateway.upstream`: where Qdrant is. A part of the declaration in `schema.ts`. */
export const upstream = z.strictObject({
  rest_url: upstreamUrl('REST address of the unsecured Qdrant'),
  grpc_url: upstreamUrl('gRPC address of the unsecured Qdrant'),
  nodes: live(nodeList('several nodes of one Qdrant cluster, instead of one address')),
  discovery: discovery.prefault({}),
  affinity: live(
    choice(
      ['none', 'principal'],
      'none',
      'with several nodes: principal sends all requests of one caller to one node, as long as that is up',
    ),
  ),
  connect_timeout_ms: whole(MILLISECONDS, 2000, 'time limit to connect'),
  response_header_timeout_ms: whole(MILLISECONDS, 300_000, 'time limit for the head of the answer'),
  keep_alive_ms: whole(MILLISECONDS, 4000, 'idle connections are closed after this; Qdrant closes its own after 5 s'),
  max_connections: whole([1, 65_535], 256, 'pooled REST connections, with several nodes to each'),
  tls_ca: live(optionalText('CA to trust for https upstreams, PEM; unset: the CAs of the runtime')),
  tls_cert: live(optionalText('certificate chain shown to https upstreams that ask for one, PEM; needs `tls_key`')),
  tls_key: live(optionalText('private key of `tls_cert`, PEM')),
  api_key: live(key('key that Qdrant requires; sent upstream instead of the credential of the caller')),
  api_key_file: live(optionalText('file with the key that Qdrant requires')),
  compare: live(
    flag(
      false,
      'beside a Qdrant with keys of its own: send the credential of the caller upstream, and log where Qdrant decides otherwise',
    ),
  ),
});

/** A list of nodes that was given as such becomes the text it stands for. */
export function settleUpstream(own: z.output<typeof upstream>) {
  const { nodes } = own;
  return { ...own, nodes: Array.isArray(nodes) ? nodeListText(nodes) : nodes };
}
