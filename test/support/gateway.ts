import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.ts';
import { NO_POLICY, type PolicySettings } from '../../src/config/policy/file.ts';
import { loadSecrets } from '../../src/config/secrets.ts';
import type { Observer } from '../../src/gateway/exchange-parts.ts';
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts';
import type { LimitSettings } from '../../src/policy/limits/limits.ts';
import type { NamedKeySettings } from '../../src/policy/named-key.ts';
import type { GuardSettings, RuleSettings } from '../../src/policy/settings.ts';
import type { TenantSettings } from '../../src/policy/tenants/settings.ts';
import { runCerts } from './certs.ts';
import { type FakeQdrant, type FakeQdrantOptions, startFakeQdrant } from './fake-qdrant/main.ts';

/** Keys of every test gateway. */
export const KEYS = {
  admin: 'admin-key-0123456789',
  alt: 'alt-admin-key-0123456789',
  readOnly: 'read-only-key-0123456789',
} as const;

export interface TestGatewayOptions {
  /** Default true. */
  readonly tls?: boolean;
  /** Settings by option path, for example `gateway.limits.header_count`. They win over the test's own. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly upstream?: FakeQdrantOptions;
  readonly rules?: readonly RuleSettings[];
  readonly guards?: readonly GuardSettings[];
  readonly limits?: readonly LimitSettings[];
  readonly tenants?: readonly TenantSettings[];
  readonly namedKeys?: readonly NamedKeySettings[];
  /** Further parts of the policy. */
  readonly policy?: Partial<PolicySettings>;
  readonly observers?: readonly Observer[];
  /** Stands before this one instead of one of its own, and leaves it running. */
  readonly before?: FakeQdrant;
}

export interface TestGateway {
  readonly upstream: FakeQdrant;
  readonly rest: { readonly host: string; readonly port: number; readonly url: string };
  readonly grpc: { readonly host: string; readonly port: number; readonly url: string };
  /** CA certificate, PEM; to be trusted by clients. */
  readonly ca: Buffer;
  readonly caFile: string;
  readonly close: () => Promise<void>;
}

/** One that runs in the process of the test. */
export interface RunningGateway extends TestGateway {
  /** What it knows of itself. */
  readonly snapshot: Gateway['snapshot'];
  /** Shows proofs of host names, as an order of a certificate does. */
  readonly setValidations: Gateway['setValidations'];
  /** Puts other tenants in force, as a reload does. */
  readonly setTenants: (tenants: readonly TenantSettings[]) => void;
}

let certs: ReturnType<typeof runCerts> | undefined;

/** Starts a stand-in and a gateway before it, on free ports of loopback. */
export async function startGateway(options: TestGatewayOptions = {}): Promise<RunningGateway> {
  const tls = options.tls ?? true;
  const upstream = options.before ?? (await startFakeQdrant(options.upstream ?? {}));
  certs ??= runCerts(mkdtempSync(join(tmpdir(), 'qdrant-gateway-certs-')));
  const made = await certs;
  const defaults: Record<string, unknown> = {
    'service.host': '127.0.0.1',
    'service.http_port': 0,
    'service.grpc_port': 0,
    'service.api_key': KEYS.admin,
    'service.alt_api_key': KEYS.alt,
    'service.read_only_api_key': KEYS.readOnly,
    'service.jwt_rbac': true,
    'service.enable_tls': tls,
    'tls.cert': made.cert,
    'tls.key': made.key,
    log_level: 'error',
    'gateway.upstream.rest_url': upstream.restUrl,
    'gateway.upstream.grpc_url': upstream.grpcUrl,
    ...options.settings,
  };
  const { config } = loadConfig({ env: {}, defaults });
  const { secrets } = loadSecrets(config);
  const policy = {
    ...NO_POLICY,
    rules: options.rules ?? [],
    ...(options.guards && { guards: options.guards }),
    ...(options.limits && { limits: options.limits }),
    ...(options.tenants && { tenants: options.tenants }),
    ...(options.namedKeys && { namedKeys: options.namedKeys }),
    ...options.policy,
  };
  const gateway = await createGateway({ config, secrets, policy }, options.observers);
  const { rest, grpc } = await gateway.start().catch(async (error: unknown) => {
    await upstream.close();
    throw error;
  });
  if (grpc === null) throw new TypeError('the test gateway has no gRPC listener');
  upstream.recorder.clear();
  const scheme = tls ? 'https' : 'http';
  return {
    upstream,
    rest: { ...rest, url: `${scheme}://localhost:${rest.port}` },
    grpc: { ...grpc, url: `${scheme}://localhost:${grpc.port}` },
    ca: readFileSync(made.ca),
    caFile: made.ca,
    snapshot: (details) => gateway.snapshot(details),
    setValidations: (validations) => gateway.setValidations(validations),
    setTenants: (tenants) => void gateway.apply({ config, secrets, policy: { ...policy, tenants } }),
    close: async () => {
      await gateway.stop(0);
      if (!options.before) await upstream.close();
    },
  };
}
