import { basename, extname } from 'node:path';
import { parse, stringify } from 'yaml';
import { UsageError } from '../output.ts';
import { type Fields, holds, inContainer, isFields } from './fields.ts';
import {
  type Drawn,
  type InitChoices,
  openFile,
  type Plan,
  type PlannedFile,
  type ReadText,
  secretFile,
  WRITTEN,
} from './plan.ts';

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const YAML_FORM = { lineWidth: 0, aliasDuplicateObjects: false };
const SECRETS = 'qdrant-gateway-secrets.yaml';
const [OWN_REST, OWN_GRPC] = [16_333, 16_334];

/** A values file of Qdrant's official chart. */
export interface HelmPlace {
  readonly folder: string;
  readonly file: string;
  readonly text: string;
  readonly readText: ReadText;
}

/**
 * The plan for Qdrant's official chart (qdrant-helm 1.19): further values that put the gateway beside Qdrant in each pod, and a manifest with
 * its secrets and a network policy. The values file itself does not change.
 */
export async function planHelm(place: HelmPlace, choices: InitChoices, drawn: Drawn): Promise<Plan> {
  const values = valuesOf(place);
  const release = choices.name ?? 'qdrant';
  const service = release.includes('qdrant') ? release : `${release}-qdrant`;
  const keys = keysOf(values, service);
  const tls = choices.cleartext ? undefined : certificateOf(values);
  const made = await secretsOf(place, choices, drawn, { service, keys: keys.drawn, tls: !choices.cleartext && !tls });
  const second = `${basename(place.file, extname(place.file))}.gateway.yaml`;
  const parts = { keys, tls, cleartext: choices.cleartext, image: choices.image };
  return {
    folder: place.folder,
    found: [
      `values of Qdrant's chart in ${place.file}, release \`${release}\``,
      keys.drawn
        ? 'Qdrant has no key: keys are drawn, one of them for Qdrant itself'
        : 'Qdrant keeps its key, and callers keep theirs',
      choices.cleartext
        ? 'no TLS is asked for'
        : tls
          ? 'Qdrant has TLS: its certificate moves to the gateway'
          : 'Qdrant has no TLS: a development CA signs a certificate',
    ],
    files: [
      openFile(second, WRITTEN + stringify(gatewayValues(values, parts), YAML_FORM)),
      openFile('qdrant-gateway-policy.yaml', WRITTEN + stringify(networkPolicy(release), YAML_FORM)),
      ...made,
    ],
    env: undefined,
    notes: [
      `the image \`${choices.image}\` has to be where the cluster can pull it`,
      'the network policy counts only if the network of the cluster enforces it',
      `Services and clients stay as they are: 6333 and 6334 are the gateway's now${choices.cleartext ? '' : ', with TLS'}`,
      ...(made.length > 0 ? [`${SECRETS} holds keys in cleartext: keep it out of your repository`] : []),
      ...(choices.cleartext || tls
        ? []
        : ['clients trust `ca.crt` of the Secret qdrant-gateway-tls, a development CA']),
    ],
    next: [
      ...(made.length > 0 ? [`kubectl apply -f ${SECRETS}`] : []),
      'kubectl apply -f qdrant-gateway-policy.yaml',
      `helm upgrade --install ${release} qdrant/qdrant -f ${place.file} -f ${second}`,
      `kubectl exec ${service}-0 -c gateway -- node /app/dist/cli/main.js doctor`,
    ],
  };
}

function valuesOf({ file, text }: HelmPlace): Fields {
  const values: unknown = parse(text) ?? {};
  if (!isFields(values)) throw new UsageError(`\`${file}\` holds no values`);
  if (listOf(values.sidecarContainers).some((one) => isFields(one) && one.name === 'gateway')) {
    throw new UsageError(`\`${file}\` has a sidecar \`gateway\` already`);
  }
  const { config } = values;
  if (values.readOnlyApiKey && !values.apiKey) {
    throw new UsageError(
      `\`${file}\`: readOnlyApiKey without apiKey leaves Qdrant open for writing; set \`apiKey\` as well`,
    );
  }
  if (isFields(config) && isFields(config.service) && config.service.api_key !== undefined) {
    throw new UsageError(
      `\`${file}\`: config.service.api_key is a key in a ConfigMap; move it to \`apiKey\` of the chart first`,
    );
  }
  return values;
}

interface Keys {
  /** Secret with `api-key`, and its key for callers that read. */
  readonly secret: string;
  readonly readOnly: boolean;
  /** Key of the Secret that Qdrant itself asks for. */
  readonly upstream: string;
  readonly drawn: boolean;
}

/** Source: templates/secret.yaml of the chart: the Secret is `<service>-apikey`, with `api-key` and `read-only-api-key`. */
function keysOf({ apiKey, readOnlyApiKey }: Fields, service: string): Keys {
  if (apiKey)
    return { secret: `${service}-apikey`, readOnly: Boolean(readOnlyApiKey), upstream: 'api-key', drawn: false };
  return { secret: 'qdrant-gateway-keys', readOnly: true, upstream: 'upstream-api-key', drawn: true };
}

interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** Mounts of the chart that hold them. */
  readonly mounts: readonly unknown[];
}

/** The certificate of a Qdrant with TLS. Throws `UsageError` if no mount holds it. */
function certificateOf({ config, additionalVolumeMounts }: Fields): Certificate | undefined {
  const service = isFields(config) && isFields(config.service) ? config.service : {};
  if (service.enable_tls !== true) return undefined;
  const tls = isFields(config) && isFields(config.tls) ? config.tls : {};
  const cert = inContainer(String(tls.cert ?? './tls/cert.pem'));
  const key = inContainer(String(tls.key ?? './tls/key.pem'));
  const has = (mount: unknown, path: string) => isFields(mount) && holds(String(mount.mountPath), path);
  const mounts = listOf(additionalVolumeMounts).filter((mount) => has(mount, cert) || has(mount, key));
  if (![cert, key].every((path) => mounts.some((mount) => has(mount, path)))) {
    throw new UsageError(
      `Qdrant has TLS, and no entry of additionalVolumeMounts holds \`${cert}\` and \`${key}\`: add one, or choose --cleartext`,
    );
  }
  return { cert, key, mounts };
}

interface Parts {
  readonly keys: Keys;
  readonly tls: Certificate | undefined;
  readonly cleartext: boolean;
  readonly image: string;
}

/** The values over the given ones. Helm replaces lists as a whole, so those of the values file are in them. */
function gatewayValues(values: Fields, parts: Parts): object {
  const { keys } = parts;
  const ownKey = {
    name: 'QDRANT__SERVICE__API_KEY',
    valueFrom: { secretKeyRef: { name: keys.secret, key: keys.upstream } },
  };
  return {
    config: {
      service: { http_port: OWN_REST, grpc_port: OWN_GRPC, enable_tls: false, enforce_internal_auth: true },
    },
    ...(keys.drawn ? { env: [...listOf(values.env), ownKey] } : {}),
    // The chart would ask 6333 as if Qdrant were there: the gateway's own probe asks Qdrant as well.
    readinessProbe: { enabled: false },
    livenessProbe: { enabled: false },
    startupProbe: { enabled: false },
    terminationGracePeriodSeconds: 50,
    lifecycle: { preStop: { exec: { command: ['sleep', '10'] } } },
    sidecarContainers: [...listOf(values.sidecarContainers), container(parts)],
    additionalVolumes: [
      ...listOf(values.additionalVolumes),
      { name: 'gateway-keys', secret: { secretName: keys.secret, defaultMode: 0o440 } },
      { name: 'gateway-state', emptyDir: { sizeLimit: '1Gi' } },
      ...(parts.cleartext || parts.tls
        ? []
        : [{ name: 'gateway-tls', secret: { secretName: 'qdrant-gateway-tls', defaultMode: 0o440 } }]),
    ],
  };
}

function container({ keys, tls, cleartext, image }: Parts): object {
  const own = !cleartext && !tls;
  const variables: Readonly<Record<string, string>> = {
    QDRANT__SERVICE__API_KEY_FILE: '/run/keys/api-key',
    ...(keys.readOnly ? { QDRANT__SERVICE__READ_ONLY_API_KEY_FILE: '/run/keys/read-only-api-key' } : {}),
    QDRANT__SERVICE__JWT_RBAC: 'true',
    QDRANT__SERVICE__ENABLE_TLS: String(!cleartext),
    ...(own ? { QDRANT__TLS__CERT: '/run/tls/tls.crt', QDRANT__TLS__KEY: '/run/tls/tls.key' } : {}),
    ...(tls && !cleartext ? { QDRANT__TLS__CERT: tls.cert, QDRANT__TLS__KEY: tls.key } : {}),
    QDRANT_GATEWAY__UPSTREAM__REST_URL: `http://127.0.0.1:${OWN_REST}`,
    QDRANT_GATEWAY__UPSTREAM__GRPC_URL: `http://127.0.0.1:${OWN_GRPC}`,
    QDRANT_GATEWAY__UPSTREAM__API_KEY_FILE: `/run/keys/${keys.upstream}`,
    QDRANT_GATEWAY__DRAIN_DELAY_MS: '5000',
    QDRANT_GATEWAY__ADMIN__PORT: '9464',
    QDRANT_GATEWAY__ADMIN__HOST: '0.0.0.0',
  };
  const probe = (path: string, periodSeconds: number) => ({
    httpGet: { path, port: 'admin' },
    periodSeconds,
    timeoutSeconds: 3,
  });
  return {
    name: 'gateway',
    image,
    env: Object.entries(variables).map(([name, value]) => ({ name, value })),
    ports: [{ name: 'admin', containerPort: 9464, protocol: 'TCP' }],
    readinessProbe: probe('/-/ready', 5),
    livenessProbe: probe('/-/live', 10),
    resources: { requests: { cpu: '250m', memory: '256Mi' }, limits: { memory: '1Gi' } },
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 1000,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [
      { name: 'gateway-keys', mountPath: '/run/keys', readOnly: true },
      { name: 'gateway-state', mountPath: '/var/lib/qdrant-gateway' },
      ...(own ? [{ name: 'gateway-tls', mountPath: '/run/tls', readOnly: true }] : []),
      ...(tls && !cleartext ? tls.mounts : []),
    ],
  };
}

interface Wanted {
  readonly service: string;
  readonly keys: boolean;
  readonly tls: boolean;
}

async function secretsOf(
  place: HelmPlace,
  { hosts }: InitChoices,
  drawn: Drawn,
  { service, keys, tls }: Wanted,
): Promise<readonly PlannedFile[]> {
  if (!keys && !tls) return [];
  const there = place.readText(SECRETS);
  if (there !== undefined) return [secretFile(SECRETS, there)];
  const secrets: object[] = [];
  const secret = (name: string, type: string, stringData: object) =>
    secrets.push({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, type, stringData });
  if (keys) {
    const names = ['api-key', 'read-only-api-key', 'upstream-api-key'];
    secret('qdrant-gateway-keys', 'Opaque', Object.fromEntries(names.map((name) => [name, drawn.key()])));
  }
  if (tls) {
    const made = await drawn.certs([
      ...hosts,
      service,
      `${service}.default.svc`,
      `${service}.default.svc.cluster.local`,
    ]);
    secret('qdrant-gateway-tls', 'kubernetes.io/tls', { 'tls.crt': made.cert, 'tls.key': made.key, 'ca.crt': made.ca });
  }
  return [secretFile(SECRETS, WRITTEN + secrets.map((one) => stringify(one, YAML_FORM)).join('---\n'))];
}

function networkPolicy(release: string): object {
  const matchLabels = { 'app.kubernetes.io/name': 'qdrant', 'app.kubernetes.io/instance': release };
  const open = (...ports: number[]) => ports.map((port) => ({ port, protocol: 'TCP' }));
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'qdrant-gateway' },
    spec: {
      podSelector: { matchLabels },
      policyTypes: ['Ingress'],
      ingress: [
        { ports: open(6333, 6334) },
        {
          ports: open(9464),
          from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
        },
        { ports: open(6335), from: [{ podSelector: { matchLabels } }] },
      ],
    },
  };
}
