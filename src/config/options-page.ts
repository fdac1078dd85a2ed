import { type Option, options } from './options.ts';

/** One table of the page. An option belongs to the group with the longest path that is a prefix of its own. */
interface Group {
  readonly title: string;
  readonly about: string;
  /** Paths of options and sections; `''` stands for all options of no other group. */
  readonly paths: readonly string[];
}

const GROUPS: readonly Group[] = [
  {
    title: 'Keys and tokens',
    about: 'A key is given as text or as a file. A file that changes takes effect without a restart.',
    paths: [
      ...['api_key', 'alt_api_key', 'read_only_api_key'].flatMap((name) => [`service.${name}`, `service.${name}_file`]),
      ...['service.jwt_rbac', 'service.hide_jwt_dashboard', 'gateway.insecure_allow_no_key', 'gateway.value_exists'],
    ],
  },
  {
    title: 'Upstream',
    about: 'The unsecured Qdrant behind the gateway.',
    paths: ['gateway.upstream'],
  },
  {
    title: 'Listeners',
    about: 'The two ports that clients use, and the parts of the API they offer.',
    paths: [
      ...['service', 'gateway.rest', 'gateway.trusted_proxies', 'gateway.forwarded_header'],
      ...['gateway.listen', 'gateway.proxy_protocol', 'gateway.cors', 'gateway.compatibility'],
    ],
  },
  {
    title: 'TLS',
    about: 'TLS between clients and the gateway. TLS to Qdrant is set by an `https` address of the upstream.',
    paths: [
      ...['tls', 'service.enable_tls', 'service.verify_https_client_certificate'],
      ...['gateway.grpc_client_certificates', 'gateway.client_certificates'],
    ],
  },
  {
    title: 'Automatic certificates',
    about: 'Certificates that the gateway gets and renews by itself: [certificates](../guides/certificates.md).',
    paths: ['gateway.certs', 'gateway.acme', 'gateway.dev_certs'],
  },
  {
    title: 'Policy',
    about: 'Rules that narrow what keys and tokens may do, and the modes that only observe.',
    paths: ['gateway.policy_file', 'gateway.keys_file', 'gateway.mode', 'gateway.learn_file'],
  },
  {
    title: 'Process',
    about: 'The running process: its log, its workers, reload and shutdown.',
    paths: ['', 'gateway'],
  },
  {
    title: 'Audit log',
    about: 'The audit log and its sinks. All sinks are off by default.',
    paths: ['audit', 'gateway.audit'],
  },
  {
    title: 'Metrics, probes and administration',
    about: 'The admin port, the console, the labels of the metrics, and tracing. All of it is off by default.',
    paths: ['gateway.admin', 'gateway.console', 'gateway.metrics', 'gateway.tracing'],
  },
  {
    title: 'Revocation',
    about: 'Tokens that are refused before they expire: where the list is kept, and how it is read.',
    paths: ['gateway.revocation'],
  },
  {
    title: 'Shared between gateways',
    about:
      'What several gateways share through the Redis server of `gateway.revocation.redis_url`, beside revocations.',
    paths: ['gateway.shared'],
  },
  {
    title: 'Limits',
    about: 'Limits of size, number and time. Names that end in `_ms` are milliseconds, in `_sec` seconds.',
    paths: [
      'gateway.limits',
      ...['max_request_size_mb', 'http_keep_alive_timeout_sec', 'http_client_request_timeout_sec'].map(
        (name) => `service.${name}`,
      ),
    ],
  },
];

const INTRODUCTION = `# Options

<!-- Written by \`npm run --silent options\`. Do not edit. -->

Every option of the gateway with its environment variable and its default.

- Options are read from a YAML file (\`--config <file>\` or \`QDRANT_GATEWAY__CONFIG\`), then from the environment, then from
  flags. The last one wins. In the YAML file the dots of a name are levels.
- Options outside of \`gateway\` have Qdrant's names and meaning, so that the settings of a Qdrant can be moved over.
- An unknown option under \`gateway\` is an error. Sections that belong to Qdrant alone (\`storage\`, \`cluster\`, ...) are ignored.
- Booleans may also be written as \`1\`/\`0\`, \`on\`/\`off\` and \`yes\`/\`no\`. In the environment an empty text stands for \`null\`.
- Change: a running gateway applies \`live\` options by a reload; the others take effect after a restart.
- \`qdrant-gateway check-config\` prints the values in effect, or every mistake with its place.
`;

function coveredBy(path: string, { paths }: Group): number {
  const matching = paths.filter((one) => one === '' || path === one || path.startsWith(`${one}.`));
  return Math.max(-1, ...matching.map((one) => one.length));
}

function groupOf({ path }: Option): Group | undefined {
  return GROUPS.toSorted((one, other) => coveredBy(path, other) - coveredBy(path, one))[0];
}

function shownDefault({ fallback }: Option): string {
  return fallback === null ? 'unset' : `\`${String(fallback)}\``;
}

/** The allowed values of an option, for a cell of the table. */
function shownValues({ kind, nullable }: Option): string {
  const orNull = nullable ? ', or null' : '';
  if (kind.type === 'boolean') return `true, false${orNull}`;
  if (kind.type === 'text') return `${kind.allowed === 'text that is not empty' ? 'text' : kind.allowed}${orNull}`;
  return `${kind.min} to ${kind.max}${kind.word ? `, or ${kind.word}` : ''}${orNull}`;
}

function rowOf(option: Option): string {
  const change = option.live ? 'live' : 'restart';
  const cells = [
    `\`${option.path}\``,
    `\`${option.env}\``,
    shownDefault(option),
    shownValues(option),
    change,
    option.doc,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** The page of all options, Markdown: one table for each group, in the order of the schema. */
export function optionsPage(): string {
  const parts = GROUPS.map((group) => {
    const rows = options.filter((option) => groupOf(option) === group).map(rowOf);
    const table = [
      '| option | environment | default | values | change | meaning |',
      '|---|---|---|---|---|---|',
      ...rows,
    ];
    return `## ${group.title}\n\n${group.about}\n\n${table.join('\n')}\n`;
  });
  return [INTRODUCTION, ...parts].join('\n');
}
