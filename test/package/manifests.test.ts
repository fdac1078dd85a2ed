import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { findProgram, runProgram } from '../support/process/programs.ts';

/*
 * The manifests, judged by the programs that would take them: the chart over a table of values, and each configuration file that it
 * makes by the gateway itself.
 */
const ROOT = join(import.meta.dirname, '../..');
const CHART = join(ROOT, 'docker/helm/qdrant-gateway');
const FOLDERS = ['.runtime/manifests/bin'];

const helm = findProgram('helm', FOLDERS);
const validate = findProgram('kubernetes-validate', FOLDERS);
const hadolint = findProgram('hadolint', FOLDERS);
const checkSchema = findProgram('check-jsonschema', FOLDERS);
const skipWithout = (name: string, program: string | undefined) => (program ? false : `not here: ${name}`);

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-manifests-'));
t.teardown(() => rmSync(folder, { recursive: true }));

type Values = Readonly<Record<string, unknown>>;

/** What every use of the chart has to say. */
const BASE: Values = {
  upstream: { restUrl: 'http://qdrant:6333', grpcUrl: 'http://qdrant:6334' },
  keys: { existingSecret: 'qdrant-keys' },
  tls: { existingSecret: 'qdrant-tls' },
};

let made = 0;

async function render(values: Values) {
  made += 1;
  const file = join(folder, `values-${made}.yaml`);
  writeFileSync(file, stringify(values));
  const args = ['template', 'gw', CHART, '-f', file, '--api-versions', 'monitoring.coreos.com/v1'];
  return await runProgram(helm ?? '', args);
}

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

const resourcesIn = (text: string): readonly Resource[] =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as Resource | null)
    .filter((resource) => resource !== null);

/** The configuration that the gateway would read in its pod, or its problems. */
function configIn(resources: readonly Resource[], env: Readonly<Record<string, string>>) {
  const map = resources.find(({ kind }) => kind === 'ConfigMap');
  const mounted: Record<string, string> = {
    '/etc/qdrant-gateway/gateway.yaml': map?.data?.['gateway.yaml'] ?? '',
    '/etc/qdrant-gateway/policy.yaml': map?.data?.['policy.yaml'] ?? '',
    '/run/keys/api-key': 'a'.repeat(32),
    '/run/keys/read-only-api-key': 'b'.repeat(32),
    '/run/upstream/api-key': 'c'.repeat(32),
    '/run/admin/token': 'd'.repeat(32),
    '/run/secrets/signing/key': 'e'.repeat(32),
    '/run/acme/shared-secret': 'f'.repeat(32),
  };
  const readFile = (path: string) => {
    const text = mounted[path];
    if (text === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' });
    return Buffer.from(text);
  };
  try {
    return loadConfig({ argv: { config: '/etc/qdrant-gateway/gateway.yaml' }, env, cwd: '/app', readFile }).config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message;
  }
}

const POLICY = 'signing_keys:\n  - id: app\n    secret_file: /run/secrets/signing/key\n';

type Case = [name: string, values: Values, kinds: readonly string[], config: Readonly<Record<string, unknown>>];

const OFTEN = [
  'ConfigMap',
  'Deployment',
  'NetworkPolicy',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'Service',
  'Service',
];

const CASES: readonly Case[] = [
  ['two addresses and a certificate', {}, OFTEN, { service: { enable_tls: true, http_port: 6333 } }],
  [
    'nodes by DNS, a Qdrant with a key',
    { upstream: { discovery: { dns: 'qdrant-headless' }, existingSecret: 'qdrant-own' } },
    OFTEN,
    { gateway: { upstream: { discovery: { dns: 'qdrant-headless' }, api_key_file: '/run/upstream/api-key' } } },
  ],
  [
    'cleartext without a read-only key and without network policies',
    { tls: { enabled: false }, keys: { existingSecret: 'k', readOnly: false }, networkPolicy: { enabled: false } },
    ['ConfigMap', 'Deployment', 'PodDisruptionBudget', 'Service', 'Service'],
    { service: { enable_tls: false, read_only_api_key_file: null } },
  ],
  [
    'a certificate by cert-manager, replicas by load, a ServiceMonitor',
    {
      tls: { certManager: { enabled: true, issuerRef: { name: 'ca' }, dnsNames: ['qdrant.example.com'] } },
      autoscaling: { enabled: true },
      metrics: { serviceMonitor: { enabled: true, labels: { release: 'prometheus' } } },
      admin: { port: 9999, existingSecret: 'admin-token' },
    },
    [...OFTEN, 'Certificate', 'HorizontalPodAutoscaler', 'ServiceMonitor'].sort(),
    { gateway: { admin: { port: 9999, token_file: '/run/admin/token' } } },
  ],
  [
    'a policy with a signing key in a Secret, shared by Redis, with more of the configuration',
    {
      policy: POLICY,
      secrets: ['signing'],
      redis: { existingSecret: 'redis', sharedKeys: true, sharedLimits: true },
      config: { service: { jwt_rbac: true }, gateway: { limits: { max_connections: 100 } } },
    },
    OFTEN,
    {
      service: { jwt_rbac: true },
      gateway: { shared: { keys: true, limits: true }, limits: { max_connections: 100 } },
    },
  ],
  [
    'a certificate by ACME, proved by port 443, kept in a claim',
    { tls: { acme: { domains: ['q.example.com'], agreeTos: true, email: 'ops@example.com', existingClaim: 'acme' } } },
    OFTEN,
    {
      service: { enable_tls: true },
      gateway: {
        acme: { challenge: 'tls-alpn-01', agree_tos: true, folder: '/var/lib/acme' },
        shared: { certificates: false },
      },
    },
  ],
  [
    'a certificate by ACME, proved by port 80, kept in Redis',
    {
      tls: {
        acme: {
          domains: ['q.example.com'],
          agreeTos: true,
          challenge: 'http-01',
          existingSecret: 'acme',
          staging: true,
        },
      },
      redis: { existingSecret: 'redis' },
      networkPolicy: { clients: [{ podSelector: {} }] },
    },
    OFTEN,
    {
      gateway: {
        acme: { challenge: 'http-01', http_port: 8080, shared_secret_file: '/run/acme/shared-secret' },
        shared: { certificates: true },
      },
    },
  ],
  [
    'audit files in a claim, of one replica',
    { replicas: 1, state: { existingClaim: 'audit' }, config: { audit: { enabled: true } } },
    OFTEN,
    { audit: { enabled: true, dir: './storage/audit' } },
  ],
  [
    'times of the end',
    { drainSeconds: 20, graceSeconds: 100 },
    OFTEN,
    { gateway: { drain_delay_ms: 20_000, shutdown_grace_ms: 100_000 } },
  ],
  [
    'other selectors of the network policies',
    { networkPolicy: { clients: [{ podSelector: {} }], monitoring: [] } },
    OFTEN,
    {},
  ],
];

/** `values` over the base, section by section; a section that says where something is replaces the base's. */
function over(values: Values): Values {
  return { ...BASE, ...values };
}

t.test('the chart over a table of values', { skip: skipWithout('helm', helm) }, async (t) => {
  const all: string[] = [];
  for (const [name, values, kinds, config] of CASES) {
    const { code, out, err } = await render(over(values));
    t.equal(code, 0, `${name}: it is made${err}`);
    const resources = resourcesIn(out);
    t.strictSame(resources.map(({ kind }) => kind).sort(), kinds, `${name}: kinds`);
    const redis = { QDRANT_GATEWAY__REVOCATION__REDIS_URL: 'rediss://redis:6379' };
    t.match(
      configIn(resources, 'redis' in values ? redis : {}),
      config,
      `${name}: the gateway takes its configuration`,
    );
    const ofKubernetes = resources.filter(({ kind }) => kind !== 'Certificate' && kind !== 'ServiceMonitor');
    all.push(...ofKubernetes.map((resource) => stringify(resource)));
  }
  const file = join(folder, 'all.yaml');
  writeFileSync(file, all.join('---\n'));
  if (!validate) return t.comment('not here: kubernetes-validate');
  const judged = await runProgram(validate, ['--strict', file]);
  t.equal(judged.code, 0, `Kubernetes takes all of them: ${judged.code === 0 ? '' : judged.out + judged.err}`);
});

const REFUSED: [name: string, values: Values, within: RegExp][] = [
  ['no Qdrant', { upstream: {} }, /upstream\.restUrl .* has to name Qdrant/],
  [
    'two ways to Qdrant',
    { upstream: { restUrl: 'http://q:6333', grpcUrl: 'http://q:6334', discovery: { dns: 'q' } } },
    /exclude each other/,
  ],
  ['no gRPC address', { upstream: { restUrl: 'http://q:6333' } }, /upstream\.grpcUrl has to be set/],
  ['no keys', { keys: {} }, /keys\.existingSecret has to name the Secret/],
  ['no certificate', { tls: {} }, /has to give a certificate/],
  [
    'two certificates',
    { tls: { existingSecret: 't', certManager: { enabled: true } } },
    /tls\.existingSecret and tls\.certManager\.enabled exclude/,
  ],
  [
    'ACME and a Secret',
    { tls: { existingSecret: 't', acme: { domains: ['q.example.com'], agreeTos: true, existingClaim: 'c' } } },
    /tls\.acme\.domains excludes/,
  ],
  ['ACME without terms', { tls: { acme: { domains: ['q.example.com'], existingClaim: 'c' } } }, /agreeTos/],
  [
    'ACME without a place that lasts',
    { tls: { acme: { domains: ['q.example.com'], agreeTos: true, existingSecret: 's' } } },
    /existingClaim, or existingSecret with redis/,
  ],
  [
    'ACME by a port that the certificate authority does not reach',
    {
      tls: { acme: { domains: ['q.example.com'], agreeTos: true, existingClaim: 'c' } },
      networkPolicy: { clients: [{ podSelector: {} }] },
    },
    /use tls\.acme\.challenge: http-01/,
  ],
  ['a certificate without names', { tls: { certManager: { enabled: true } } }, /needs issuerRef\.name and dnsNames/],
  ['a claim for two gateways', { state: { existingClaim: 'c' } }, /state\.existingClaim is for one gateway/],
  [
    'a claim for gateways by load',
    { replicas: 1, autoscaling: { enabled: true }, state: { existingClaim: 'c' } },
    /state\.existingClaim is for one gateway/,
  ],
  ['shared without Redis', { redis: { sharedKeys: true } }, /need redis\.existingSecret/],
  [
    'a configuration that another value sets',
    { config: { gateway: { admin: { host: '::' } } } },
    /config\.gateway\.admin is set by other values/,
  ],
  ['an unknown value', { replica: 3 }, /replica/],
  ['a value of another type', { replicas: 'three' }, /replicas/],
  ['an address with a path', { upstream: { restUrl: 'http://q/a', grpcUrl: 'http://q' } }, /restUrl/],
];

t.test(
  'values that cannot be used together are refused with their names',
  { skip: skipWithout('helm', helm) },
  async (t) => {
    for (const [name, values, within] of REFUSED) {
      const { code, err } = await render(over(values));
      t.not(code, 0, `${name}: nothing is made`);
      t.match(err, within, name);
    }
  },
);

t.test('the chart opens Qdrant to the gateway alone, and its pods have no rights they can do without', async (t) => {
  if (!helm) return t.comment('not here: helm');
  const { out } = await render(BASE);
  const resources = resourcesIn(out);
  const policy = resources.find(({ metadata }) => metadata.name === 'gw-qdrant-gateway-qdrant');
  const gateway = { 'app.kubernetes.io/name': 'qdrant-gateway', 'app.kubernetes.io/instance': 'gw' };
  const qdrant = { matchLabels: { 'app.kubernetes.io/name': 'qdrant' } };
  t.strictSame(policy?.spec, {
    podSelector: qdrant,
    policyTypes: ['Ingress'],
    ingress: [
      {
        ports: [
          { port: 6333, protocol: 'TCP' },
          { port: 6334, protocol: 'TCP' },
        ],
        from: [{ podSelector: { matchLabels: gateway } }],
      },
      { ports: [{ port: 6335, protocol: 'TCP' }], from: [{ podSelector: qdrant }] },
    ],
  });
  const deployment = resources.find(({ kind }) => kind === 'Deployment');
  t.match(deployment?.spec, {
    template: {
      spec: {
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 45,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            securityContext: {
              readOnlyRootFilesystem: true,
              allowPrivilegeEscalation: false,
              capabilities: { drop: ['ALL'] },
            },
          },
        ],
      },
    },
  });
});

/** Every mount of a container called `gateway`, and where the volume comes from. */
function mountsOf(pod: unknown): readonly (readonly [path: string, readOnly: boolean, from: string])[] {
  const { containers = [], sidecarContainers = [], volumes = [], additionalVolumes = [] } = Object(pod);
  const gateway = [...containers, ...sidecarContainers].find(({ name }) => name === 'gateway');
  return Object(gateway).volumeMounts.map((mount: Readonly<Record<string, unknown>>) => {
    const volume = [...volumes, ...additionalVolumes].find(({ name }) => name === mount.name);
    const kind = Object.keys(volume).find((key) => key !== 'name');
    return [mount.mountPath, mount.readOnly === true, kind];
  });
}

t.test('with a read-only root the folder where the image starts can be written, and nothing else', async (t) => {
  const image = readFileSync(join(ROOT, 'docker/Dockerfile'), 'utf8');
  const [, state = ''] = /^WORKDIR (\S+)$/m.exec(image.slice(image.lastIndexOf('\nFROM '))) ?? [];
  const file = (name: string) => readFileSync(join(ROOT, 'docker', name), 'utf8');
  const pods: [name: string, pod: unknown][] = ['kubernetes.yaml', 'kubernetes-gateway.yaml'].map((name) => {
    const made = resourcesIn(file(name)).find(({ kind }) => ['StatefulSet', 'Deployment'].includes(kind));
    return [name, Object(Object(made?.spec).template).spec];
  });
  pods.push(['helm/qdrant-sidecar-values.yaml', parse(file('helm/qdrant-sidecar-values.yaml'))]);
  for (const [name, pod] of pods) {
    const writable = mountsOf(pod).filter(([, readOnly]) => !readOnly);
    t.strictSame(writable, [[state, false, 'emptyDir']], name);
  }
  const { services, volumes } = parse(file('compose.yaml'));
  t.equal(services.gateway.read_only, true);
  const writable = Object.values<string | Bind>(services.gateway.volumes).filter((one) => !Object(one).read_only);
  t.strictSame(writable, [`state:${state}`], 'compose.yaml');
  t.ok(Object.hasOwn(volumes, 'state'));
});

/** First lines of the manifest that is made from the chart. */
const RENDERED_BY = [
  'helm template gateway docker/helm/qdrant-gateway --namespace default',
  ...['upstream.restUrl=http://qdrant:6333', 'upstream.grpcUrl=http://qdrant:6334'].map((one) => `--set ${one}`),
  ...['keys.existingSecret=qdrant-keys', 'tls.existingSecret=qdrant-tls'].map((one) => `--set ${one}`),
].join(' ');

t.test('the rendered manifest is that of the chart', { skip: skipWithout('helm', helm) }, async (t) => {
  const [, ...args] = RENDERED_BY.split(' ');
  const made = await runProgram(
    helm ?? '',
    args.map((one) => (one.startsWith('docker/') ? join(ROOT, one) : one)),
  );
  const there = readFileSync(join(ROOT, 'docker/kubernetes-gateway.yaml'), 'utf8');
  const at = there.indexOf('---\n');
  t.ok(there.slice(0, at).includes(RENDERED_BY), 'it says how it was made');
  t.equal(there.slice(at), made.out, 'write it anew with the command in its first lines');
  if (!validate) return t.comment('not here: kubernetes-validate');
  t.match(await runProgram(validate, ['--strict', join(ROOT, 'docker/kubernetes-gateway.yaml')]), { code: 0 });
});

t.test('Prometheus gets the token where the metrics need one', { skip: skipWithout('helm', helm) }, async (t) => {
  const metrics = { serviceMonitor: { enabled: true } };
  for (const [admin, authorization] of [
    [{}, undefined],
    [{ existingSecret: 'admin-token' }, { credentials: { name: 'admin-token', key: 'token' } }],
  ] as const) {
    const resources = resourcesIn((await render(over({ metrics, admin }))).out);
    const monitor = resources.find(({ kind }) => kind === 'ServiceMonitor');
    t.strictSame(Object(Object(monitor?.spec).endpoints)[0].authorization, authorization);
  }
});

t.test(
  'the proof for a certificate reaches a pod that is not ready',
  { skip: skipWithout('helm', helm) },
  async (t) => {
    for (const [challenge, port] of [
      ['tls-alpn-01', { name: 'acme', port: 443, targetPort: 'rest', protocol: 'TCP' }],
      ['http-01', { name: 'acme', port: 80, targetPort: 'acme', protocol: 'TCP' }],
    ] as const) {
      const acme = { domains: ['q.example.com'], agreeTos: true, existingClaim: 'c', challenge };
      const resources = resourcesIn((await render(over({ tls: { acme } }))).out);
      const service = resources.find(
        ({ kind, metadata }) => kind === 'Service' && metadata.name === 'gw-qdrant-gateway',
      );
      t.match(service?.spec, { publishNotReadyAddresses: true, ports: [{}, {}, port] }, challenge);
      const policy = resources.find(({ kind }) => kind === 'NetworkPolicy');
      const open = JSON.stringify(policy?.spec).includes('"port":"acme"');
      t.equal(open, challenge === 'http-01', 'only the port of http-01 is opened, and only with it');
    }
  },
);

t.test('helm and Kubernetes take what stands beside the chart', { skip: skipWithout('helm', helm) }, async (t) => {
  const sets =
    'upstream.restUrl=http://q:6333,upstream.grpcUrl=http://q:6334,keys.existingSecret=k,tls.existingSecret=t';
  const lint = await runProgram(helm ?? '', ['lint', '--strict', CHART, '--set', sets]);
  t.equal(lint.code, 0, `helm lint: ${lint.code === 0 ? '' : lint.out + lint.err}`);
  if (!validate) return t.comment('not here: kubernetes-validate');
  const files = ['docker/kubernetes.yaml', 'docker/helm/qdrant-sidecar-policy.yaml'].map((name) => join(ROOT, name));
  const judged = await runProgram(validate, ['--strict', ...files]);
  t.equal(judged.code, 0, `manifests: ${judged.code === 0 ? '' : judged.out + judged.err}`);
});

t.test('the gateway takes the configuration of the sidecar', async (t) => {
  const text = readFileSync(join(ROOT, 'docker/helm/qdrant-sidecar-values.yaml'), 'utf8');
  const [document] = parseAllDocuments(text);
  const values = document?.toJS() as {
    readonly sidecarContainers: readonly {
      readonly env: readonly { readonly name: string; readonly value: string }[];
    }[];
  };
  const env = Object.fromEntries(values.sidecarContainers[0]?.env.map(({ name, value }) => [name, value]) ?? []);
  const readFile = (path: string) => Buffer.from(path.padEnd(32, '-'));
  t.match(loadConfig({ env, cwd: '/app', readFile }).config, {
    service: { enable_tls: true, http_port: 6333, grpc_port: 6334 },
    gateway: { upstream: { rest_url: 'http://127.0.0.1:16333', api_key_file: '/run/keys/upstream-api-key' } },
  });
});

t.test('hadolint finds nothing in the Dockerfile', { skip: skipWithout('hadolint', hadolint) }, async (t) => {
  const { code, out } = await runProgram(hadolint ?? '', [join(ROOT, 'docker/Dockerfile')]);
  t.strictSame([code, out], [0, '']);
});

/** The compose files, each with those that it stands over. */
const COMPOSE = ['compose.yaml', 'compose.legacy.yaml', 'compose.observability.yaml'];

interface Bind {
  readonly source: string;
  readonly target: string;
  readonly read_only?: boolean;
}

interface Compose {
  readonly services: Readonly<
    Record<string, { readonly secrets?: readonly string[]; readonly volumes?: readonly (string | Bind)[] }>
  >;
  readonly secrets?: Readonly<Record<string, { readonly file: string }>>;
}

const composeOf = (name: string): Compose => parse(readFileSync(join(ROOT, 'docker', name), 'utf8'));

t.test('the compose files are some', { skip: skipWithout('check-jsonschema', checkSchema) }, async (t) => {
  const files = COMPOSE.map((name) => join(ROOT, 'docker', name));
  const { code, out } = await runProgram(checkSchema ?? '', ['--builtin-schema', 'vendor.compose-spec', ...files]);
  t.equal(code, 0, code === 0 ? 'compose-spec' : out);
});

t.test('the compose files mount files that are there, and name the secrets that they explain', async (t) => {
  const base = composeOf('compose.yaml');
  for (const name of COMPOSE) {
    const { services, secrets = {} } = composeOf(name);
    const explained = readFileSync(join(ROOT, 'docker', name), 'utf8');
    for (const { file } of Object.values(secrets))
      t.ok(explained.includes(`#   ${file.slice(2)} `), `${name}: ${file}`);
    const known = { ...base.secrets, ...secrets };
    for (const [service, { secrets: used = [], volumes = [] }] of Object.entries(services)) {
      t.strictSame(
        used.filter((one) => !Object.hasOwn(known, one)),
        [],
        `${name}: secrets of ${service}`,
      );
      const short = volumes.filter((one) => typeof one === 'string');
      const files = short.map((one) => one.split(':')[0] ?? '').filter((one) => one.startsWith('./'));
      for (const file of files) t.ok(existsSync(join(ROOT, 'docker', file)), `${name}: ${file}`);
    }
  }
});

t.test(
  'the gateway sees the folder of its secrets: a file that is mounted alone keeps the key that was replaced',
  async (t) => {
    const base = composeOf('compose.yaml').services.gateway;
    const folder = base?.volumes?.find((one) => Object(one).target === '/run/secrets');
    t.match(folder, { type: 'bind', source: './secrets', read_only: true, bind: { create_host_path: false } });
    for (const name of COMPOSE) {
      const { gateway } = composeOf(name).services;
      t.notOk(gateway?.secrets, `${name}: no secret is mounted alone`);
      const explained = readFileSync(join(ROOT, 'docker', name), 'utf8');
      const used = Object.values(Object(Object(gateway).environment)).filter((one) =>
        `${one}`.startsWith('/run/secrets/'),
      );
      for (const path of used) t.ok(explained.includes(`#   ${`${path}`.slice('/run/'.length)} `), `${name}: ${path}`);
    }
  },
);

t.test('the gateway takes the environment of each compose file', async (t) => {
  const environmentOf = (name: string) =>
    Object.fromEntries(
      Object.entries(Object(Object(composeOf(name).services.gateway).environment)).map(([key, value]) => [
        key,
        `${value}`,
      ]),
    );
  const readFile = (path: string) => Buffer.from(path.padEnd(32, '-'));
  for (const name of COMPOSE) {
    const env = { ...environmentOf('compose.yaml'), ...environmentOf(name) };
    const { config } = loadConfig({ env, cwd: '/app', readFile });
    t.match(config, { service: { enable_tls: true, jwt_rbac: true }, gateway: { admin: { port: 9464 } } }, name);
    const open = config.gateway.admin.host !== '127.0.0.1';
    t.equal(open, config.gateway.admin.token_file !== null, `${name}: an admin port for others has a token`);
  }
});

t.test('Prometheus takes its configuration, and Grafana finds the dashboard', async (t) => {
  const text = readFileSync(join(ROOT, 'docker/observability/prometheus.yaml'), 'utf8');
  const here = text.replace('/etc/prometheus/alerts.yaml', join(ROOT, 'docker/prometheus-alerts.yaml'));
  const file = join(folder, 'prometheus.yaml');
  writeFileSync(file, here);
  const promtool = findProgram('promtool');
  if (promtool === undefined) t.comment('not here: promtool');
  else t.match(await runProgram(promtool, ['check', 'config', '--syntax-only', file]), { code: 0 });
  const { services } = composeOf('compose.observability.yaml');
  const mounted = (service: string) =>
    (services[service]?.volumes ?? []).map((one) => (typeof one === 'string' ? (one.split(':')[1] ?? '') : one.target));
  t.ok(mounted('prometheus').includes('/etc/prometheus/alerts.yaml'), 'the rules are where they are looked for');
  const { providers } = parse(readFileSync(join(ROOT, 'docker/observability/grafana-dashboards.yaml'), 'utf8'));
  const at = `${providers[0].options.path}/`;
  t.ok(
    mounted('grafana').some((path) => path.startsWith(at)),
    'and the dashboard is where Grafana looks',
  );
});
