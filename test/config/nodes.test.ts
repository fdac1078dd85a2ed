import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { parseNodeList } from '../../src/config/upstream/node-list.ts';
import { hasNodes, listedNodes } from '../../src/config/upstream/rules.ts';

const KEY = 'k'.repeat(32);
const NODES = 'gateway.upstream.nodes';

/** A configuration from a YAML file, or its problems. */
function read(yaml: string, env: Record<string, string> = {}) {
  const text = `service: {api_key: ${KEY}}\n${yaml}`;
  try {
    const { config } = loadConfig({ argv: { config: 'f.yaml' }, env, readFile: () => Buffer.from(text) });
    return { config, problems: [] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { config: undefined, problems: error.problems.map(({ place, message }) => `${place}: ${message}`) };
  }
}

const upstream = (text: string): string => `gateway:\n  upstream:\n${text.replace(/^/gm, '    ')}`;

t.test('a list in a file, and the same as text of a variable', async (t) => {
  const yaml = upstream(
    [
      'nodes:',
      '  - rest_url: http://q0:6333',
      '    grpc_url: http://q0:6334',
      '    weight: 2',
      '  - {rest_url: "https://[::1]:7333", grpc_url: "https://[::1]:7334"}',
    ].join('\n'),
  );
  const text =
    'rest_url=http://q0:6333 grpc_url=http://q0:6334 weight=2, rest_url=https://[::1]:7333 grpc_url=https://[::1]:7334';
  const [file, variable] = [read(yaml), read('', { QDRANT_GATEWAY__UPSTREAM__NODES: text })];
  if (!file.config || !variable.config) throw new Error([...file.problems, ...variable.problems].join());
  t.strictSame(file.config, variable.config);
  t.ok(hasNodes(file.config));
  t.strictSame(listedNodes(file.config), [
    {
      rest: { tls: false, host: 'q0', port: 6333 },
      grpc: { tls: false, host: 'q0', port: 6334 },
      weight: 2,
    },
    {
      rest: { tls: true, host: '::1', port: 7333 },
      grpc: { tls: true, host: '::1', port: 7334 },
      weight: 1,
    },
  ]);
});

const BOTH = 'grpc_url: http://q0:6334';

const refused: readonly (readonly [name: string, yaml: string, problems: readonly (string | RegExp)[]])[] = [
  [
    'a node twice',
    upstream(`nodes:\n  - {rest_url: http://q0:6333, ${BOTH}}\n  - {rest_url: http://q0:6333, ${BOTH}}`),
    [`${NODES}: the node \`q0:6333\` is listed more than once`],
  ],
  [
    'an unknown field, with its place',
    upstream(`nodes:\n  - {rest_url: http://q0:6333, ${BOTH}, wieght: 2}`),
    [/^f\.yaml:5:\d+: unknown field `wieght` of `gateway.upstream.nodes`, did you mean `weight`/],
  ],
  [
    'a node without an address',
    upstream('nodes:\n  - {grpc_url: http://q0:6334}'),
    [/node 1: `rest_url` must be http:\/\/host:port/],
  ],
  ['a node that is no address', upstream('nodes:\n  - {rest_url: q0, grpc_url: q1}'), [/node 1: `rest_url` must be/]],
  [
    'a weight of nothing',
    upstream(`nodes:\n  - {rest_url: http://q0:6333, ${BOTH}, weight: 0}`),
    [/node 1: `weight` must be a whole number from 1 to 100/],
  ],
  ['an empty list', upstream('nodes: []'), [/empty list: name a node, or leave it out/, /no upstream is configured/]],
  ['one text in the list', upstream('nodes: [http://q0:6333]'), [/an entry of .* has the fields rest_url/]],
  ['a section', upstream('nodes: {rest_url: http://q0:6333}'), [/must be a list/]],
  [
    'a node without gRPC, where gRPC is on',
    upstream('nodes:\n  - {rest_url: http://q0:6333}'),
    [`${NODES}: the node \`q0:6333\` has no \`grpc_url\`: set it, or turn grpc off with \`service.grpc_port: null\``],
  ],
  [
    'the gateway itself',
    upstream('nodes:\n  - {rest_url: http://localhost:6333, grpc_url: http://q0:6334}'),
    [`${NODES}: the upstream is the address the gateway itself listens on`],
  ],
  [
    'nodes beside one address',
    upstream(`rest_url: http://q9:6333\nnodes:\n  - {rest_url: http://q0:6333, ${BOTH}}`),
    ['gateway.upstream.rest_url: cannot be set beside `gateway.upstream.nodes`: give the upstream once'],
  ],
  [
    'nodes beside a name',
    upstream(`discovery: {dns: qdrant}\nnodes:\n  - {rest_url: http://q0:6333, ${BOTH}}`),
    ['gateway.upstream.discovery.dns: cannot be set beside `gateway.upstream.nodes`: give the upstream once'],
  ],
  [
    'a DNS server without a port',
    upstream('discovery: {dns: qdrant, server: 10.0.0.2}'),
    [/`gateway.upstream.discovery.server` must be address:port/],
  ],
];

for (const [name, yaml, wanted] of refused) {
  t.test(`refused: ${name}`, async (t) => {
    const { problems } = read(yaml);
    for (const one of wanted) {
      t.ok(
        problems.some((problem) => (typeof one === 'string' ? problem === one : one.test(problem))),
        `${String(one)} is among ${problems.join(' | ')}`,
      );
    }
  });
}

t.test('text that is no list is refused with what is expected', async (t) => {
  for (const text of [
    'http://q0:6333',
    'rest_url=',
    'rest_url=http://q0:6333 rest_url=http://q1:6333',
    'node=1',
    ',',
  ]) {
    t.equal(parseNodeList(text).problems.length, 1, text);
  }
});

t.test('a name is enough, and gRPC may be off', async (t) => {
  const { config, problems } = read(upstream('discovery: {dns: qdrant-headless}'));
  t.strictSame(problems, []);
  t.ok(config && hasNodes(config));
  t.strictSame(
    read(upstream('nodes:\n  - {rest_url: http://q0:6333}'), { QDRANT__SERVICE__GRPC_PORT: '' }).problems,
    [],
  );
});
