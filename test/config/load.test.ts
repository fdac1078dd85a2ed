import fc from 'fast-check';
import t from 'tap';
import { type Flags, loadConfig, type Preview, previewConfig, type Sources } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { parseUpstreamUrl } from '../../src/config/upstream-url.ts';

const LONG_KEY = 'k'.repeat(40);
const UPSTREAM = {
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:16333',
  QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://127.0.0.1:16334',
};
const ENOUGH = { ...UPSTREAM, QDRANT__SERVICE__API_KEY: LONG_KEY };

type Given = { env?: Record<string, string>; yaml?: string; argv?: Flags; files?: Record<string, string> };

function sources({ env = {}, yaml, argv = {}, files = {} }: Given): Sources {
  const all: Record<string, string> = yaml === undefined ? files : { ...files, 'gateway.yaml': yaml };
  return {
    env,
    argv: yaml === undefined ? argv : { config: 'gateway.yaml', ...argv },
    cwd: '/nowhere',
    readFile: (path) => {
      const text = all[path.replace('/nowhere/', '')];
      if (text === undefined) throw Object.assign(new Error('missing'), { code: 'ENOENT' });
      return Buffer.from(text);
    },
  };
}

function problemsOf(given: Given): string[] {
  try {
    loadConfig(sources(given));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place}: ${message}`);
  }
}

function settingAt({ config }: Preview, path: string): unknown {
  let value: unknown = config;
  for (const part of path.split('.')) value = Object(value)[part];
  return value;
}

const VALUES: [name: string, given: Given, path: string, value: unknown][] = [
  ['the built-in default stands when nothing is said', {}, 'service.http_port', 6333],
  ['a variable sets an option', { env: { QDRANT__SERVICE__HTTP_PORT: '7000' } }, 'service.http_port', 7000],
  ['names of variables have no case', { env: { qdrant__Service__http_PORT: '7000' } }, 'service.http_port', 7000],
  ['a file sets an option', { yaml: 'service:\n  http_port: 7001\n' }, 'service.http_port', 7001],
  [
    'a variable wins over the file',
    { yaml: 'service:\n  http_port: 7001\n', env: { QDRANT__SERVICE__HTTP_PORT: '7000' } },
    'service.http_port',
    7000,
  ],
  [
    'a flag wins over the variable and the file',
    { yaml: 'service:\n  http_port: 7001\n', env: { QDRANT__SERVICE__HTTP_PORT: '7000' }, argv: { httpPort: '7002' } },
    'service.http_port',
    7002,
  ],
  ['1 is true', { env: { QDRANT__SERVICE__ENABLE_TLS: '1' } }, 'service.enable_tls', true],
  ['Yes is true', { env: { QDRANT__SERVICE__ENABLE_TLS: 'Yes' } }, 'service.enable_tls', true],
  ['on is true in a file too', { yaml: 'service: {enable_tls: on}' }, 'service.enable_tls', true],
  ['off is false', { env: { QDRANT__SERVICE__ENABLE_CORS: 'off' } }, 'service.enable_cors', false],
  [
    '--no-tls wins over the variable',
    { env: { QDRANT__SERVICE__ENABLE_TLS: 'true' }, argv: { tls: false } },
    'service.enable_tls',
    false,
  ],
  ['jwt_rbac is unset by default', {}, 'service.jwt_rbac', null],
  ['jwt_rbac can be said to be false', { env: { QDRANT__SERVICE__JWT_RBAC: 'false' } }, 'service.jwt_rbac', false],
  ['an empty grpc port turns grpc off', { env: { QDRANT__SERVICE__GRPC_PORT: '' } }, 'service.grpc_port', null],
  ['a null grpc port turns grpc off', { yaml: 'service: {grpc_port: null}' }, 'service.grpc_port', null],
  ['an absent grpc port is 6334', { yaml: 'service: {}' }, 'service.grpc_port', 6334],
  ['a log filter keeps its bare level', { env: { QDRANT__LOG_LEVEL: 'WARN,raft=debug' } }, 'log_level', 'warn'],
  ['an empty log level is info', { env: { QDRANT__LOG_LEVEL: '' } }, 'log_level', 'info'],
  ['a log level may be spelt warning', { env: { QDRANT__LOG_LEVEL: 'WARNING' } }, 'log_level', 'warn'],
  ['a log level may be a number', { yaml: 'log_level: 4' }, 'log_level', 'debug'],
  ['an unknown log level is info', { env: { QDRANT__LOG_LEVEL: 'loud' } }, 'log_level', 'info'],
  ['a key that yaml takes for a number', { yaml: 'service: {api_key: 1234567}' }, 'service.api_key', '1234567'],
  ['a large one', { yaml: 'service: {api_key: 9223372036854775807}' }, 'service.api_key', '9223372036854775807'],
  ['a negative one', { yaml: 'service: {api_key: -17}' }, 'service.api_key', '-17'],
  ['a fraction', { yaml: 'service: {api_key: 1.25}' }, 'service.api_key', '1.25'],
  ['a key that yaml takes for a boolean', { yaml: 'service: {api_key: true}' }, 'service.api_key', 'true'],
  ['the key of Qdrant for 0123', { yaml: 'service: {api_key: 0123}' }, 'service.api_key', '123'],
  ['the key of Qdrant for 1e5', { yaml: 'service: {api_key: 1e5}' }, 'service.api_key', '100000'],
  ['the key of Qdrant for 0x1F', { yaml: 'service: {api_key: 0x1F}' }, 'service.api_key', '31'],
  ['a number in quotes is text', { yaml: 'service: {api_key: "0123"}' }, 'service.api_key', '0123'],
  ['a key of null is unset', { yaml: 'service: {api_key: null, alt_api_key: k}' }, 'service.api_key', null],
  [
    'an empty key beside a good one is unset',
    { env: { QDRANT__SERVICE__API_KEY: 'key', QDRANT__SERVICE__READ_ONLY_API_KEY: '' } },
    'service.read_only_api_key',
    null,
  ],
  [
    'an empty key over one of the file is unset',
    { env: { QDRANT__SERVICE__ALT_API_KEY: '' }, yaml: 'service: {api_key: k, alt_api_key: l}' },
    'service.alt_api_key',
    null,
  ],
  ['cert_ttl null means never', { yaml: 'tls: {cert_ttl: null}' }, 'tls.cert_ttl', 0],
  ['keep-alive is 60 s by default', {}, 'gateway.limits.keep_alive_timeout_ms', 60_000],
  [
    "keep-alive follows qdrant's own option in seconds",
    { env: { QDRANT__SERVICE__HTTP_KEEP_ALIVE_TIMEOUT_SEC: '7' } },
    'gateway.limits.keep_alive_timeout_ms',
    7000,
  ],
  [
    "the gateway's own keep-alive wins over qdrant's",
    {
      env: {
        QDRANT__SERVICE__HTTP_KEEP_ALIVE_TIMEOUT_SEC: '7',
        QDRANT_GATEWAY__LIMITS__KEEP_ALIVE_TIMEOUT_MS: '90',
      },
    },
    'gateway.limits.keep_alive_timeout_ms',
    90,
  ],
  [
    'the inspected size follows the request size',
    { env: { QDRANT__SERVICE__MAX_REQUEST_SIZE_MB: '2' } },
    'gateway.limits.inspected_body_bytes',
    2_097_152,
  ],
  [
    'a list of a file is the text of the environment',
    { yaml: 'gateway:\n  trusted_proxies:\n    - 10.0.0.0/8\n    - "::1"\n' },
    'gateway.trusted_proxies',
    '10.0.0.0/8, ::1',
  ],
  ['an empty list is none', { yaml: 'gateway: {trusted_proxies: []}' }, 'gateway.trusted_proxies', null],
  [
    'an alias in a file is followed',
    { yaml: 'service:\n  host: &h 127.0.0.1\ntls:\n  cert: *h\n' },
    'tls.cert',
    '127.0.0.1',
  ],
];

t.test('a value comes from the right source', async (t) => {
  for (const [name, given, path, value] of VALUES) {
    const preview = previewConfig(sources(given));
    t.strictSame({ problems: preview.problems, value: settingAt(preview, path) }, { problems: [], value }, name);
  }
});

const BOOLEAN = 'true or false (1/0, on/off and yes/no also count)';
const PORTS = 'a whole number from 0 to 65535';
const ADDRESS = 'http://host:port, https://host:port or unix:/path, or null';
const ORIGIN =
  'an origin as browsers write it, `https://a.example.com` or `https://a.example.com:8443`, or `https://*.example.com`';
const PROXY = 'an address, a range as `10.0.0.0/8`, or `unix:` for peers on a unix socket';
const BAD: [name: string, given: Given, problems: string[]][] = [
  [
    'a port that is no number',
    { env: { ...ENOUGH, QDRANT__SERVICE__HTTP_PORT: 'x' } },
    [`QDRANT__SERVICE__HTTP_PORT: \`service.http_port\` must be ${PORTS}, not \`x\``],
  ],
  [
    'a port out of range in a file, with line and column',
    { env: ENOUGH, yaml: 'service:\n  http_port: 70000\n' },
    [`gateway.yaml:2:14: \`service.http_port\` must be ${PORTS}, not \`70000\``],
  ],
  [
    'a bad flag',
    { env: ENOUGH, argv: { httpPort: '-1' } },
    [`--http-port: \`service.http_port\` must be ${PORTS}, not \`-1\``],
  ],
  [
    'a boolean that is none',
    { env: { ...ENOUGH, QDRANT__SERVICE__ENABLE_TLS: 'maybe' } },
    [`QDRANT__SERVICE__ENABLE_TLS: \`service.enable_tls\` must be ${BOOLEAN}, not \`maybe\``],
  ],
  [
    'an upstream without a port',
    { env: { ...ENOUGH, QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://qdrant' } },
    [`QDRANT_GATEWAY__UPSTREAM__REST_URL: \`gateway.upstream.rest_url\` must be ${ADDRESS}, not \`http://qdrant\``],
  ],
  [
    'an upstream with a password, which is not repeated',
    { env: { ...ENOUGH, QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://me:hush@qdrant:1' } },
    [`QDRANT_GATEWAY__UPSTREAM__REST_URL: \`gateway.upstream.rest_url\` must be ${ADDRESS}`],
  ],
  [
    'trusted proxies that are none',
    {
      env: {
        ...ENOUGH,
        QDRANT_GATEWAY__TRUSTED_PROXIES: '10.0.0.0/8, a.test, 10.0.0.0/33,::1/129, fe80::1%eth0, ::ffff:1.2.3.4',
      },
    },
    [
      `QDRANT_GATEWAY__TRUSTED_PROXIES: \`a.test\` must be ${PROXY}`,
      'QDRANT_GATEWAY__TRUSTED_PROXIES: `10.0.0.0/33`: the range must be a whole number from 0 to 32',
      'QDRANT_GATEWAY__TRUSTED_PROXIES: `::1/129`: the range must be a whole number from 0 to 128',
      `QDRANT_GATEWAY__TRUSTED_PROXIES: \`fe80::1%eth0\` must be ${PROXY}`,
      'QDRANT_GATEWAY__TRUSTED_PROXIES: `::ffff:1.2.3.4` is an IPv4 address within IPv6: write it as an IPv4 address',
    ],
  ],
  [
    'an entry of a list that is no text, and one with a comma',
    { env: ENOUGH, yaml: 'gateway:\n  trusted_proxies: [10.0.0.1, 5, "a,b"]\n' },
    [
      'gateway.yaml:2:31: an entry of `gateway.trusted_proxies` must be text without commas',
      'gateway.yaml:2:34: an entry of `gateway.trusted_proxies` must be text without commas',
    ],
  ],
  [
    'a section where a list belongs',
    { env: ENOUGH, yaml: 'gateway:\n  trusted_proxies: {a: b}\n' },
    ['gateway.yaml:2:20: `gateway.trusted_proxies` must be a list'],
  ],
  [
    'allowed origins that are none',
    {
      env: {
        ...ENOUGH,
        QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS:
          'https://a.test, *, null, https://a.test/, https://a.test:443, https://A.test, https://*.test, https://a.*.test, a.test:65536',
      },
    },
    [
      'QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS: `*`: leave the option out to allow every origin',
      `QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS: \`null\` must be ${ORIGIN}`,
      `QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS: \`https://a.test/\` must be ${ORIGIN}`,
      'QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS: `https://a.test:443` never matches: browsers leave out the port 443 of https',
      `QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS: \`https://A.test\` must be ${ORIGIN}`,
      'QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS: `https://*.test` is too wide: name the domain, as in `https://*.example.com`',
      `QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS: \`https://a.*.test\` must be ${ORIGIN}`,
      `QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS: \`a.test:65536\` must be ${ORIGIN}`,
    ],
  ],
  [
    'unix sockets that are none, or the same',
    {
      env: { ...ENOUGH, QDRANT_GATEWAY__LISTEN__REST: '/run/a.sock', QDRANT_GATEWAY__LISTEN__MODE: '668' },
    },
    [
      'QDRANT_GATEWAY__LISTEN__REST: `gateway.listen.rest` must be unix:/path, or null, not `/run/a.sock`',
      'QDRANT_GATEWAY__LISTEN__MODE: `gateway.listen.mode` must be octal digits, for example 0660, not `668`',
    ],
  ],
  [
    'one unix socket for both listeners, which is the upstream, too',
    {
      env: {
        ...ENOUGH,
        QDRANT_GATEWAY__LISTEN__REST: 'unix:/run/a.sock',
        QDRANT_GATEWAY__LISTEN__GRPC: 'unix:/run/a.sock',
        QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'unix:/run/a.sock',
      },
    },
    [
      'gateway.upstream.grpc_url: the upstream is the address the gateway itself listens on',
      'gateway.listen.grpc: the same socket as `gateway.listen.rest`',
    ],
  ],
  [
    'the PROXY protocol without proxies',
    { env: { ...ENOUGH, QDRANT_GATEWAY__PROXY_PROTOCOL: 'require' } },
    ['QDRANT_GATEWAY__PROXY_PROTOCOL: needs `gateway.trusted_proxies`: a PROXY header is read from these peers only'],
  ],
  [
    'proxies that are named and counted',
    { env: { ...ENOUGH, QDRANT_GATEWAY__TRUSTED_PROXIES: '::1', QDRANT_GATEWAY__AUDIT__TRUSTED_PROXIES: '1' } },
    [
      'QDRANT_GATEWAY__AUDIT__TRUSTED_PROXIES: counts proxies, `gateway.trusted_proxies` names them: set one of the two',
    ],
  ],
  [
    'an unknown variable of the gateway, with the near name',
    { env: { ...ENOUGH, QDRANT_GATEWAY__VALUE_EXISTS__TIMEOUT: '5' } },
    [
      'QDRANT_GATEWAY__VALUE_EXISTS__TIMEOUT: unknown option `gateway.value_exists.timeout`, did you mean `timeout_ms`? allowed here: `timeout_ms`',
    ],
  ],
  [
    "the gateway's options under the prefix of qdrant",
    { env: { ...ENOUGH, QDRANT__GATEWAY__REST__RELAY: '0' } },
    ['QDRANT__GATEWAY__REST__RELAY: options of the gateway begin with `QDRANT_GATEWAY__`'],
  ],
  [
    'an unknown key in our section of the file',
    { env: ENOUGH, yaml: 'gateway:\n  rest:\n    relais: true\n' },
    ['gateway.yaml:3:5: unknown option `gateway.rest.relais`, did you mean `relay`? allowed here: `relay`'],
  ],
  [
    'a misspelt section',
    { env: ENOUGH, yaml: 'gatewy:\n  rest: {}\n' },
    [
      'gateway.yaml:1:1: unknown option `gatewy`, did you mean `gateway`? allowed here: `log_level`, `service`, `tls`, `audit`, `gateway`',
    ],
  ],
  [
    'a value where a section belongs',
    { env: ENOUGH, yaml: 'tls: yes\n' },
    ['gateway.yaml:1:1: `tls` must be a section with `cert`, `key`, `ca_cert`, `cert_ttl`'],
  ],
  [
    'a section where a value belongs',
    { env: ENOUGH, yaml: 'service:\n  host: [a]\n' },
    ['gateway.yaml:2:9: `service.host` must be a single value'],
  ],
  ['a file that is no yaml', { env: ENOUGH, yaml: 'a: "b\n' }, ['gateway.yaml:2:1: not valid yaml (missing char)']],
  [
    'the same key twice',
    { env: ENOUGH, yaml: 'tls: {}\ntls: {}\n' },
    ['gateway.yaml:2:1: not valid yaml (duplicate key)'],
  ],
  [
    'a configuration file that is not there',
    { env: { ...ENOUGH, QDRANT_GATEWAY__CONFIG: 'gone.yaml' } },
    ['gone.yaml: cannot read the configuration file: no such file'],
  ],
  [
    'the same variable twice in different case and value',
    { env: { ...ENOUGH, QDRANT__TLS__CERT: 'a', qdrant__tls__cert: 'b' } },
    ['qdrant__tls__cert: set twice with different values, also as `QDRANT__TLS__CERT` (names are not case-sensitive)'],
  ],
  [
    'an empty key in the environment and no other',
    { env: { ...UPSTREAM, QDRANT__SERVICE__API_KEY: '' } },
    [
      'service.api_key: no key is configured: set `QDRANT__SERVICE__API_KEY` (or `service.api_key` in the file, or `QDRANT__SERVICE__API_KEY_FILE`), or `gateway.insecure_allow_no_key: true` to accept every caller',
    ],
  ],
  [
    'an empty key in the file and no other',
    { env: UPSTREAM, yaml: 'service:\n  api_key: ""\n' },
    [
      'service.api_key: no key is configured: set `QDRANT__SERVICE__API_KEY` (or `service.api_key` in the file, or `QDRANT__SERVICE__API_KEY_FILE`), or `gateway.insecure_allow_no_key: true` to accept every caller',
    ],
  ],
  [
    'a key that yaml takes for a number beyond all',
    { env: ENOUGH, yaml: 'service:\n  alt_api_key: 1234e5678\n' },
    ['gateway.yaml:2:16: `service.alt_api_key` is a number without an exact text: put it in quotes'],
  ],
  [
    'a key with blanks around it',
    { env: { ...UPSTREAM, QDRANT__SERVICE__API_KEY: ' key' } },
    [
      'QDRANT__SERVICE__API_KEY: the key has leading or trailing whitespace (one newline at the end of a file is allowed)',
    ],
  ],
  [
    'a key file with two newlines',
    { env: { ...UPSTREAM, QDRANT__SERVICE__API_KEY_FILE: 'key' }, files: { key: 'key\n\n' } },
    [
      'QDRANT__SERVICE__API_KEY_FILE: the key has leading or trailing whitespace (one newline at the end of a file is allowed)',
    ],
  ],
  [
    'an empty key file',
    { env: { ...UPSTREAM, QDRANT__SERVICE__API_KEY_FILE: 'key' }, files: { key: '\n' } },
    ['QDRANT__SERVICE__API_KEY_FILE: the key file `key` is empty'],
  ],
  [
    'a key file that is not there',
    { env: { ...UPSTREAM, QDRANT__SERVICE__API_KEY_FILE: 'key' } },
    ['QDRANT__SERVICE__API_KEY_FILE: cannot read the key file `key`: no such file'],
  ],
  [
    'a key and its file',
    { env: { ...ENOUGH, QDRANT__SERVICE__API_KEY_FILE: 'key' }, files: { key: 'other' } },
    ['QDRANT__SERVICE__API_KEY_FILE: both `service.api_key` and `service.api_key_file` are set: keep one'],
  ],
  [
    'the same key for admins and readers',
    { env: { ...ENOUGH, QDRANT__SERVICE__READ_ONLY_API_KEY: LONG_KEY } },
    [
      'QDRANT__SERVICE__READ_ONLY_API_KEY: the read-only key is the same as `service.api_key`: readers would have full access',
    ],
  ],
  [
    'no key at all',
    { env: UPSTREAM },
    [
      'service.api_key: no key is configured: set `QDRANT__SERVICE__API_KEY` (or `service.api_key` in the file, or `QDRANT__SERVICE__API_KEY_FILE`), or `gateway.insecure_allow_no_key: true` to accept every caller',
    ],
  ],
  [
    'no upstream',
    { env: { QDRANT__SERVICE__API_KEY: LONG_KEY, QDRANT__SERVICE__GRPC_PORT: '' } },
    [
      'gateway.upstream.rest_url: no upstream is configured: set `QDRANT_GATEWAY__UPSTREAM__REST_URL` or `--upstream` to http://host:port of the unsecured qdrant, or list its nodes in `gateway.upstream.nodes`',
    ],
  ],
  [
    'no gRPC upstream while gRPC is on',
    { env: { ...ENOUGH, QDRANT_GATEWAY__UPSTREAM__GRPC_URL: '' } },
    [
      'gateway.upstream.grpc_url: set `QDRANT_GATEWAY__UPSTREAM__GRPC_URL` or `--upstream-grpc`, or turn grpc off with `service.grpc_port: null`',
    ],
  ],
  [
    'an upstream that is the gateway itself',
    { env: ENOUGH, argv: { upstream: 'http://localhost:6333' } },
    ['gateway.upstream.rest_url: the upstream is the address the gateway itself listens on'],
  ],
  [
    'one port for both protocols',
    { env: ENOUGH, argv: { grpcPort: '6333' } },
    ['service.grpc_port: the same port as `service.http_port` (6333)'],
  ],
  [
    'everything at once',
    { env: { ...ENOUGH, QDRANT__TLS__CERT_TTL: 'x' }, yaml: 'gateway: {nothing_like_it: 1}', argv: { httpPort: 'y' } },
    [
      'gateway.yaml:1:11: unknown option `gateway.nothing_like_it`, allowed here: `upstream`, `trusted_proxies`, `forwarded_header`, `proxy_protocol`, `policy_file`, `keys_file`, `mode`, `learn_file`, `reload`, `workers`, `drain_delay_ms`, `shutdown_grace_ms`, `log`, `audit`, `admin`, `console`, `metrics`, `tracing`, `revocation`, `shared`, `grpc_client_certificates`, `client_certificates`, `certs`, `acme`, `dev_certs`, `insecure_allow_no_key`, `listen`, `compatibility`, `cors`, `rest`, `limits`, `value_exists`',
      `--http-port: \`service.http_port\` must be ${PORTS}, not \`y\``,
      'QDRANT__TLS__CERT_TTL: `tls.cert_ttl` must be a whole number from 0 to 31536000, or null, not `x`',
    ],
  ],
];

t.test('a configuration that cannot be used is refused with the place of every problem', async (t) => {
  for (const [name, given, problems] of BAD) t.strictSame(problemsOf(given), problems, name);
});

const WARNED: [name: string, given: Given, warnings: string[]][] = [
  [
    'a range of all addresses, and origins without CORS',
    {
      env: {
        ...ENOUGH,
        QDRANT__SERVICE__ENABLE_CORS: 'false',
        QDRANT_GATEWAY__TRUSTED_PROXIES: '10.0.0.1, 0.0.0.0/0',
        QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS: 'https://a.test',
      },
    },
    [
      'QDRANT_GATEWAY__TRUSTED_PROXIES: `0.0.0.0/0` lets every peer say which address it has',
      'QDRANT_GATEWAY__CORS__ALLOWED_ORIGINS: `service.enable_cors` is off: no origin is allowed',
    ],
  ],
  [
    'an empty key beside a good one',
    { env: { ...ENOUGH, QDRANT__SERVICE__READ_ONLY_API_KEY: '' } },
    ['QDRANT__SERVICE__READ_ONLY_API_KEY: the key is empty and counts as unset, as in Qdrant'],
  ],
  [
    'an unknown log level',
    { env: { ...ENOUGH, QDRANT__LOG_LEVEL: 'loud' } },
    ['QDRANT__LOG_LEVEL: `log_level` is not one of trace, debug, info, warn, error, off: info is used'],
  ],
  ['another spelling of a log level', { env: { ...ENOUGH, QDRANT__LOG_LEVEL: 'warning' } }, []],
  [
    'a key that is a number with a zero in front, which is not repeated',
    { env: ENOUGH, yaml: 'service:\n  alt_api_key: 0123\n' },
    [
      'gateway.yaml:2:16: `service.alt_api_key` is a number and taken in its shortest form, as Qdrant takes it: put it in quotes',
    ],
  ],
  ['a key that is a plain number', { env: ENOUGH, yaml: 'service:\n  alt_api_key: 1234567\n' }, []],
  ['a plain configuration', { env: ENOUGH }, []],
  [
    'options that stay with qdrant',
    { env: { ...ENOUGH, QDRANT__STORAGE__PATH: 'x', QDRANT__SERVICE__MAX_WORKERS: '2' } },
    [],
  ],
  ["qdrant's sections in the file", { env: ENOUGH, yaml: 'storage: {a: [1]}\ncluster:\n  enabled: false\n' }, []],
  [
    'a misspelt option of qdrant',
    { env: { ...ENOUGH, QDRANT__SERVICE__ENABLE_TSL: 'true' } },
    [
      'QDRANT__SERVICE__ENABLE_TSL: unknown option `service.enable_tsl`, ignored as Qdrant ignores it, did you mean `enable_tls`?',
    ],
  ],
  [
    'an option that is not carried yet',
    { env: { ...ENOUGH, QDRANT__SERVICE__METRICS_PORT: '9090' } },
    ['QDRANT__SERVICE__METRICS_PORT: `service.metrics_port` is not supported by this version of the gateway, ignored'],
  ],
  [
    'tokens without an admin key',
    { env: { ...UPSTREAM, QDRANT__SERVICE__READ_ONLY_API_KEY: LONG_KEY, QDRANT__SERVICE__JWT_RBAC: 'true' } },
    ['QDRANT__SERVICE__JWT_RBAC: needs `service.api_key` or `service.alt_api_key`, tokens stay off'],
  ],
  [
    'a short key that signs tokens',
    { env: { ...UPSTREAM, QDRANT__SERVICE__API_KEY: 'short', QDRANT__SERVICE__JWT_RBAC: 'true' } },
    ['QDRANT__SERVICE__API_KEY: the key is shorter than 32 bytes: too short to sign tokens (RFC 7518, section 3.2)'],
  ],
  ['a short key without tokens', { env: { ...UPSTREAM, QDRANT__SERVICE__API_KEY: 'short' } }, []],
  [
    'a key no header can carry',
    { env: { ...UPSTREAM, QDRANT__SERVICE__API_KEY: 'schlüssel' } },
    ['QDRANT__SERVICE__API_KEY: the key has characters that no request header can carry: no client can present it'],
  ],
  [
    'no caller needs a key',
    { env: { ...UPSTREAM, QDRANT_GATEWAY__INSECURE_ALLOW_NO_KEY: 'true' } },
    ['QDRANT_GATEWAY__INSECURE_ALLOW_NO_KEY: no key is set, every caller has full access'],
  ],
];

t.test('what is legal but rarely meant is a warning', async (t) => {
  for (const [name, given, warnings] of WARNED) t.strictSame(loadConfig(sources(given)).warnings, warnings, name);
});

t.test('the configuration cannot be changed after loading', async (t) => {
  const { config } = loadConfig(sources({ env: ENOUGH }));
  t.throws(() => Object.assign(config.gateway.limits, { json_depth: 1 }), TypeError);
});

t.test('a key file may end with one newline', async (t) => {
  for (const text of ['key', 'key\n', 'key\r\n']) {
    t.strictSame(problemsOf({ env: { ...UPSTREAM, QDRANT__SERVICE__API_KEY_FILE: 'k' }, files: { k: text } }), []);
  }
});

t.test('no problem or warning ever repeats a key', async (t) => {
  const word = fc.string({ minLength: 6, maxLength: 12, unit: fc.constantFrom(...'XYZQVW') });
  const property = fc.property(word, fc.constantFrom('', ' ', '\n'), fc.boolean(), (secret, blank, inFile) => {
    const value = `${blank}${secret}${blank}`;
    const given: Given = inFile
      ? {
          env: UPSTREAM,
          yaml: `service:\n  api_key: ${JSON.stringify(value)}\n  read_only_api_key: "${secret}"\n bad`,
        }
      : { env: { QDRANT__SERVICE__API_KEY: value, QDRANT__SERVICE__READ_ONLY_API_KEY: secret } };
    const { problems, warnings } = previewConfig(sources(given));
    return !JSON.stringify([problems, warnings, problemsOf(given)]).includes(secret);
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 200 }));
});

t.test('any text in a file ends as a configuration or as problems, never as another error', async (t) => {
  const name = fc.constantFrom(
    'service',
    'gateway',
    'limits',
    'tls',
    'http_port',
    'x',
    '<<',
    '__proto__',
    'constructor',
  );
  const value = fc.oneof(
    name,
    fc.integer().map(String),
    fc.constantFrom('&a [*a]', '{', '- 1', '!!binary x', '*b', 'null'),
  );
  const line = fc.tuple(fc.nat(3), name, value).map(([deep, key, text]) => `${'  '.repeat(deep)}${key}: ${text}`);
  const property = fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
    previewConfig(sources({ yaml: lines.join('\n') }));
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 500 }));
});

t.test('upstream addresses', async (t) => {
  const cases: [string, ReturnType<typeof parseUpstreamUrl>][] = [
    ['http://127.0.0.1:6333', { tls: false, host: '127.0.0.1', port: 6333 }],
    ['https://qdrant.internal:443/', { tls: true, host: 'qdrant.internal', port: 443 }],
    ['http://[::1]:6334', { tls: false, host: '::1', port: 6334 }],
    ['http://q', null],
    ['http://q:0', null],
    ['http://q:65536', null],
    ['http://q:1/path', null],
    ['http://u:p@q:1', null],
    ['ftp://q:1', null],
    ['http://q:1?x', null],
    ['', null],
  ];
  for (const [text, address] of cases) t.strictSame(parseUpstreamUrl(text), address, `\`${text}\``);
});
