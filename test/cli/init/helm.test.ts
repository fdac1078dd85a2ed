import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { init } from '../../../src/cli/init/init.ts';
import { loadConfig } from '../../../src/config/load.ts';

const NOW = Date.now();

interface Sidecar {
  readonly name: string;
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly volumeMounts: readonly unknown[];
}

interface Values {
  readonly config: unknown;
  readonly env?: readonly unknown[];
  readonly sidecarContainers: readonly Sidecar[];
  readonly additionalVolumes: readonly unknown[];
}

async function valuesOf(t: Test, text: string, flags: object = {}) {
  const folder = t.testdir({ 'values.yaml': text });
  const { json } = await init('values.yaml', { yes: true, ...flags }, NOW, folder);
  const { added } = json as { readonly added: readonly string[] };
  const values = parse(readFileSync(join(folder, 'values.gateway.yaml'), 'utf8')) as Values;
  return { folder, added, values, text: (name: string) => readFileSync(join(folder, name), 'utf8') };
}

/** What the gateway in the pod would read. Each file holds its own path. */
function configOf({ sidecarContainers }: Values) {
  const env = Object.fromEntries(sidecarContainers.at(-1)?.env.map(({ name, value }) => [name, value]) ?? []);
  return loadConfig({ env, cwd: '/app', readFile: (path) => Buffer.from(path.padEnd(32, '-')) }).config;
}

t.test('a chart without keys: they are drawn, one of them for Qdrant itself', async (t) => {
  const text = 'env:\n  - { name: A, value: "1" }\nsidecarContainers: [{ name: other, image: other }]\n';
  const { added, values, text: read } = await valuesOf(t, text, { host: ['qdrant.example.com'] });
  t.strictSame(added, ['values.gateway.yaml', 'qdrant-gateway-policy.yaml', 'qdrant-gateway-secrets.yaml']);
  t.match(values.config, {
    service: { http_port: 16333, grpc_port: 16334, enable_tls: false, enforce_internal_auth: true },
  });
  const own = {
    name: 'QDRANT__SERVICE__API_KEY',
    valueFrom: { secretKeyRef: { name: 'qdrant-gateway-keys', key: 'upstream-api-key' } },
  };
  t.strictSame(values.env, [{ name: 'A', value: '1' }, own], 'variables of the file stay');
  t.strictSame(
    values.sidecarContainers.map(({ name }) => name),
    ['other', 'gateway'],
    'so do its sidecars',
  );
  t.match(configOf(values), {
    service: {
      enable_tls: true,
      api_key_file: '/run/keys/api-key',
      read_only_api_key_file: '/run/keys/read-only-api-key',
    },
    gateway: { upstream: { rest_url: 'http://127.0.0.1:16333', api_key_file: '/run/keys/upstream-api-key' } },
  });
  const secrets = parseAllDocuments(read('qdrant-gateway-secrets.yaml')).map((one) => one.toJS());
  t.match(secrets, [
    {
      kind: 'Secret',
      metadata: { name: 'qdrant-gateway-keys' },
      stringData: { 'api-key': /^[\w-]{48}$/, 'upstream-api-key': /^[\w-]{48}$/ },
    },
    { type: 'kubernetes.io/tls', stringData: { 'tls.crt': /BEGIN CERTIFICATE/, 'tls.key': /BEGIN PRIVATE KEY/ } },
  ]);
});

t.test('a chart with keys and TLS: both go on', async (t) => {
  const text = [
    'apiKey: true',
    'config: { service: { enable_tls: true }, tls: { cert: /certs/tls.crt, key: /certs/tls.key } }',
    'additionalVolumes: [{ name: certs, secret: { secretName: q } }]',
    'additionalVolumeMounts: [{ name: certs, mountPath: /certs }]',
  ].join('\n');
  const { added, values } = await valuesOf(t, text, { name: 'vectors' });
  t.strictSame(added, ['values.gateway.yaml', 'qdrant-gateway-policy.yaml'], 'no secret is drawn');
  t.strictSame(values.env, undefined);
  t.match(values.additionalVolumes, [
    { name: 'certs' },
    { name: 'gateway-keys', secret: { secretName: 'vectors-qdrant-apikey' } },
  ]);
  t.match(values.sidecarContainers[0]?.volumeMounts, [
    { name: 'gateway-keys' },
    { name: 'gateway-state' },
    { name: 'certs', mountPath: '/certs' },
  ]);
  t.match(configOf(values), {
    service: { enable_tls: true, read_only_api_key_file: null },
    tls: { cert: '/certs/tls.crt', key: '/certs/tls.key' },
    gateway: { upstream: { api_key_file: '/run/keys/api-key' } },
  });
});

t.test('the network policy opens the pods to the gateway, and the cluster port to Qdrant', async (t) => {
  const { text } = await valuesOf(t, '{}\n', { name: 'vectors', cleartext: true });
  const own = { matchLabels: { 'app.kubernetes.io/name': 'qdrant', 'app.kubernetes.io/instance': 'vectors' } };
  t.match(parse(text('qdrant-gateway-policy.yaml')), {
    spec: {
      podSelector: own,
      ingress: [
        { ports: [{ port: 6333 }, { port: 6334 }] },
        { ports: [{ port: 9464 }] },
        { ports: [{ port: 6335 }], from: [{ podSelector: own }] },
      ],
    },
  });
});

const REFUSED: [name: string, text: string, within: RegExp][] = [
  [
    'a key in the ConfigMap',
    'config: { service: { api_key: x } }\n',
    /config\.service\.api_key is a key in a ConfigMap/,
  ],
  ['a key for readers alone', 'readOnlyApiKey: true\n', /readOnlyApiKey without apiKey/],
  ['a sidecar of that name', 'sidecarContainers: [{ name: gateway }]\n', /has a sidecar `gateway` already/],
  ['TLS without a mount', 'config: { service: { enable_tls: true } }\n', /no entry of additionalVolumeMounts holds/],
  ['a list', '- a\n', /holds no values/],
];

t.test('values that cannot be put behind a gateway are refused', async (t) => {
  for (const [name, text, within] of REFUSED) await t.rejects(valuesOf(t, text), within, name);
});
