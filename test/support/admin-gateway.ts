import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { loadConfig } from '../../src/config/load.ts';
import { NO_POLICY, type PolicySettings } from '../../src/config/policy/file.ts';
import { loadSecrets } from '../../src/config/secrets.ts';
import type { LoadedState } from '../../src/config/state.ts';
import { createSupervisor, type Supervisor } from '../../src/supervisor/supervisor.ts';
import { runCerts } from './certs.ts';
import { type FakeQdrant, type FakeQdrantOptions, startFakeQdrant } from './fake-qdrant/main.ts';
import { KEYS } from './gateway.ts';

/** The bearer token of the admin port, where a test sets one. */
export const ADMIN_TOKEN = 'admin-token-0123456789';

export interface Supervised {
  readonly supervisor: Supervisor;
  readonly upstream: FakeQdrant;
  readonly rest: { readonly port: number; readonly url: string };
  readonly grpc: { readonly port: number; readonly url: string };
  readonly admin: number;
  readonly ca: Buffer;
  /** What the next reload reads; throws what it throws. */
  next: () => LoadedState;
  /** The state with other settings, for `next`. */
  readonly stateWith: (settings: Readonly<Record<string, unknown>>) => LoadedState;
  /** What the audit log has of the admin port: method, kind of credential, result and error. */
  readonly acts: () => readonly (readonly unknown[])[];
  /** The whole audit log. */
  readonly events: () => readonly Readonly<Record<string, unknown>>[];
  readonly close: () => Promise<void>;
}

export interface SupervisedOptions {
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly policy?: PolicySettings;
  /** Writes an audit log, which `acts` reads. */
  readonly audit?: boolean;
  readonly upstream?: FakeQdrantOptions;
}

let certs: ReturnType<typeof runCerts> | undefined;

/** A supervised gateway with an admin port before a stand-in, on free ports of loopback, without TLS unless set. */
export async function startSupervised(options: SupervisedOptions = {}): Promise<Supervised> {
  const upstream = await startFakeQdrant(options.upstream ?? {});
  try {
    return await supervise(upstream, options);
  } catch (error) {
    await upstream.close();
    throw error;
  }
}

async function supervise(upstream: FakeQdrant, options: SupervisedOptions): Promise<Supervised> {
  certs ??= runCerts(mkdtempSync(join(tmpdir(), 'qdrant-gateway-certs-')));
  const made = await certs;
  const stateOf = (settings: Readonly<Record<string, unknown>> = {}): LoadedState => {
    const defaults: Record<string, unknown> = {
      'service.host': '127.0.0.1',
      'service.http_port': 0,
      'service.grpc_port': 0,
      'service.api_key': KEYS.admin,
      'service.read_only_api_key': KEYS.readOnly,
      'service.jwt_rbac': true,
      'tls.cert': made.cert,
      'tls.key': made.key,
      log_level: 'off',
      'gateway.admin.port': 0,
      'audit.enabled': options.audit === true,
      'audit.dir': dir,
      'gateway.upstream.rest_url': upstream.restUrl,
      'gateway.upstream.grpc_url': upstream.grpcUrl,
      ...options.settings,
      ...settings,
    };
    const { config, warnings } = loadConfig({ env: {}, defaults });
    return {
      config,
      secrets: loadSecrets(config).secrets,
      policy: options.policy ?? NO_POLICY,
      warnings,
      files: [],
      readings: new Map(),
    };
  };
  const dir = mkdtempSync(join(tmpdir(), 'qdrant-gateway-acts-'));
  const held = { next: () => stateOf() };
  const supervisor = await createSupervisor({
    state: stateOf(),
    load: () => held.next(),
  });
  const { rest, grpc, admin } = await supervisor.start();
  const scheme = stateOf().config.service.enable_tls ? 'https' : 'http';
  return Object.assign(held, {
    supervisor,
    upstream,
    stateWith: stateOf,
    rest: { port: rest.port, url: `${scheme}://localhost:${rest.port}` },
    grpc: { port: grpc?.port ?? 0, url: `${scheme}://localhost:${grpc?.port}` },
    admin: admin?.port ?? 0,
    ca: readFileSync(made.ca),
    acts: () => actsIn(dir),
    events: () => eventsIn(dir),
    close: async () => {
      await supervisor.stop(0);
      await upstream.close();
      rmSync(dir, { recursive: true });
    },
  });
}

/** The entries of all files of an audit log; a line that is being written is not one yet. */
export function eventsIn(dir: string): readonly Readonly<Record<string, unknown>>[] {
  const lines = readdirSync(dir).flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n').slice(0, -1));
  return lines.filter(Boolean).map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}

function actsIn(dir: string): (readonly unknown[])[] {
  return eventsIn(dir).flatMap(({ method, auth_type, result, error, key }) => {
    return String(method).startsWith('gateway_') ? [[method, auth_type, key, result, error]] : [];
  });
}

export interface AdminRequest {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly ca?: Buffer;
}

export interface AdminAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

/** One request to the admin port, on a connection of its own. */
export async function askAdmin(port: number, path: string, options: AdminRequest = {}): Promise<AdminAnswer> {
  const { method = 'GET', token, headers = {}, body, ca } = options;
  const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const settings = { host: '127.0.0.1', port, path, method, headers: { ...bearer, ...headers }, agent: false };
  const request = ca ? httpsRequest({ ...settings, ca, servername: 'localhost' }) : httpRequest(settings);
  const { promise, resolve, reject } = Promise.withResolvers<import('node:http').IncomingMessage>();
  request.once('response', resolve).once('error', reject).end(body);
  const response = await promise;
  return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) };
}

/** The series of a metrics page: value by name and labels, as they stand there. */
export function seriesOf(page: string): Map<string, number> {
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at).replace('qdrant_gateway_', ''), Number(line.slice(at + 1))];
    }),
  );
}
