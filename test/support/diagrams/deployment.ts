import type { Diagram } from './draw.ts';

/** The two ways to stand before Qdrant: beside each node, or as a deployment of its own. */
export const DEPLOYMENT: Diagram = {
  file: 'deployment.svg',
  title: 'Beside Qdrant, or as a deployment of its own',
  description:
    'Left: in each pod or on each host, clients reach the gateway on 6333 and 6334, and Qdrant listens on loopback, ports 16333 and 16334. Right: clients reach a Service with several gateways, which spread requests over the nodes that DNS gives; a network policy closes the ports of the nodes to everything else, and a key of Qdrant keeps out who goes around.',
  size: [964, 420],
  boxes: [
    {
      at: [16, 16],
      size: [400, 388],
      kind: 'frame',
      head: 'Sidecar',
      lines: ['`docker/helm/qdrant-sidecar-values.yaml`', 'or `docker/kubernetes.yaml`'],
    },
    { at: [32, 102], size: [124, 66], kind: 'box', head: 'Clients', lines: ['keys and tokens'] },
    { at: [184, 92], size: [216, 296], kind: 'frame', head: 'Pod or host' },
    {
      at: [198, 128],
      size: [188, 104],
      kind: 'core',
      head: 'Gateway',
      lines: ['`6333` and `6334`, TLS', 'admin port `9464`', '`/var/lib/qdrant-gateway`'],
    },
    { at: [198, 286], size: [188, 84], kind: 'box', head: 'Qdrant', lines: ['`127.0.0.1`', '`16333`, `16334`'] },
    {
      at: [432, 16],
      size: [516, 388],
      kind: 'frame',
      head: 'Standalone',
      lines: ['`docker/helm/qdrant-gateway`, `docker/compose.yaml`'],
    },
    { at: [452, 84], size: [130, 66], kind: 'box', head: 'Clients', lines: ['keys and tokens'] },
    { at: [640, 84], size: [130, 66], kind: 'box', head: 'Service', lines: ['`6333`, `6334`'] },
    { at: [556, 196], size: [140, 62], kind: 'core', head: 'Gateway', lines: ['decides by itself'] },
    { at: [714, 196], size: [140, 62], kind: 'core', head: 'Gateway', lines: ['decides by itself'] },
    { at: [452, 300], size: [88, 84], kind: 'box', head: 'Redis', lines: ['revocations,', 'keys, limits'] },
    {
      at: [556, 300],
      size: [372, 84],
      kind: 'frame',
      head: 'Qdrant: closed to all but the gateways',
      lines: ['named by `gateway.upstream.discovery`', 'its own key: `gateway.upstream.api_key_file`'],
    },
  ],
  arrows: [
    {
      points: '156,150 197,150',
      kind: 'way',
    },
    {
      points: '292,232 292,285',
      kind: 'way',
      label: { at: [332, 264], text: 'permitted' },
    },
    {
      points: '94,168 94,328 196,328',
      kind: 'refused',
      label: { at: [104, 348], text: 'no way around' },
    },
    {
      points: '582,117 639,117',
      kind: 'way',
    },
    {
      points: '690,150 690,172 626,172 626,195',
      kind: 'way',
    },
    {
      points: '720,150 720,172 784,172 784,195',
      kind: 'way',
    },
    {
      points: '626,258 626,299',
      kind: 'way',
    },
    {
      points: '784,258 784,299',
      kind: 'way',
      label: { at: [830, 284], text: 'permitted' },
    },
    {
      points: '556,236 496,236 496,299',
      kind: 'way',
    },
    {
      points: '770,117 900,117 900,299',
      kind: 'refused',
      label: { at: [872, 108], text: 'network policy' },
    },
  ],
};
