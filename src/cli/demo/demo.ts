import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Flags, previewConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import { KEY_NAMES, type Secrets } from '../../config/secrets.ts';
import { loadState } from '../../config/state.ts';
import { mintToken } from '../../identity/token.ts';
import { OPERATION_NAMES } from '../../operations/names.ts';
import { makeDevCerts } from '../init/dev-certs.ts';
import { type Output, writeWarnings } from '../output.ts';
import { run } from '../serve.ts';
import { describeScene } from './scene.ts';
import { portOrAny, type StandIn, startStandIn } from './stand-in.ts';

const keysSchema = z.object({ api_key: z.string().min(1), read_only_api_key: z.string().min(1) });

type DemoKeys = z.output<typeof keysSchema>;

/** The keys of a folder; made once, so that they stay the same between runs. Mode 0600. */
export function provideKeys(folder: string): DemoKeys {
  const file = join(folder, 'keys.json');
  try {
    return keysSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    const fresh = () => randomBytes(24).toString('base64url');
    const keys = { api_key: `dev-admin-${fresh()}`, read_only_api_key: `dev-read-${fresh()}` };
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600 });
    chmodSync(file, 0o600);
    return keys;
  }
}

async function put(url: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'PUT', headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`the stand-in answered ${answer.status} while the demo was being filled`);
}

async function fill(restUrl: string): Promise<void> {
  const vectors = { size: 4, distance: 'Dot' };
  await put(`${restUrl}/collections/demo`, { vectors });
  await put(`${restUrl}/collections/private`, { vectors });
  const points = [
    { id: 1, vector: [0.05, 0.61, 0.76, 0.74], payload: { city: 'Berlin' } },
    { id: 2, vector: [0.19, 0.81, 0.75, 0.11], payload: { city: 'London' } },
    { id: 3, vector: [0.36, 0.55, 0.47, 0.94], payload: { city: 'Moscow' } },
    { id: 4, vector: [0.18, 0.01, 0.85, 0.8], payload: { city: 'New York' } },
  ];
  await put(`${restUrl}/collections/demo/points?wait=true`, { points });
}

/** The parts of a demo that the package and a checkout choose for themselves. */
export interface DemoParts {
  /** Folder of keys and certificates; made where it is missing. */
  readonly folder: string;
  readonly standIn: StandIn;
  /** Last lines of what is told. */
  readonly next: readonly string[];
  /** More defaults, by dotted path. */
  readonly defaults?: Readonly<Record<string, unknown>>;
}

function demoDefaults(before: Config, keys: DemoKeys, { folder, standIn, defaults }: DemoParts) {
  const { service } = before;
  const own = KEY_NAMES.some((name) => service[name] !== null || service[`${name}_file`] !== null);
  return {
    ...(own ? {} : { 'service.api_key': keys.api_key, 'service.read_only_api_key': keys.read_only_api_key }),
    log_level: 'WARN',
    'service.jwt_rbac': true,
    'service.enable_tls': true,
    'service.host': '127.0.0.1',
    'tls.cert': join(folder, 'cert.pem'),
    'tls.key': join(folder, 'key.pem'),
    'gateway.upstream.rest_url': standIn.restUrl,
    'gateway.upstream.grpc_url': standIn.grpcUrl,
    ...defaults,
  };
}

// Configured keys are not printed, only those made here.
function shownKeys(secrets: Secrets, keys: DemoKeys): [string, string][] {
  const shown: [string, string][] = [];
  if (secrets.apiKey === keys.api_key) shown.push(['admin key', keys.api_key]);
  if (secrets.readOnlyApiKey === keys.read_only_api_key) shown.push(['read-only key', keys.read_only_api_key]);
  return shown;
}

/** Fills the stand-in, serves before it with development certificates and keys, and tells what to try. Resolves once it listens. */
export async function showDemo(flags: Flags, before: Config, parts: DemoParts, output: Output): Promise<void> {
  const { folder, standIn, next } = parts;
  try {
    await fill(standIn.restUrl);
    const keys = provideKeys(folder);
    const certs = await makeDevCerts(folder);
    const defaults = demoDefaults(before, keys, parts);
    const load = () => loadState({ argv: flags, defaults, operations: OPERATION_NAMES });
    const state = load();
    const { config, secrets, warnings } = state;
    writeWarnings(output, warnings);
    const secret = secrets.apiKey ?? secrets.altApiKey ?? keys.api_key;
    const token = await mintToken({ access: [{ collection: 'demo', access: 'rw' }] }, secret);
    const { rest, grpc } = await run(state, load, output, () => standIn.close());
    const ca = config.service.enable_tls && config.tls.cert === certs.cert ? certs.ca : null;
    const shown = shownKeys(secrets, keys);
    output.out(describeScene({ config, rest, grpc, ca, keys: shown, token, standIn: standIn.restUrl, next }));
  } catch (error) {
    await standIn.close();
    throw error;
  }
}

/** Folder of the demo, below the working directory. */
export const DEMO_FOLDER = 'qdrant-gateway-demo';

const NEXT = [
  `Keys and certificates are in ${DEMO_FOLDER}/, which may be deleted. Ctrl-C ends the demo.`,
  '',
  'To protect a Qdrant of your own: `qdrant-gateway init` in the folder of its compose file or Helm values,',
  'or `qdrant-gateway init --qdrant http://127.0.0.1:6333` for one that runs on this host. It shows its plan first.',
];

/**
 * `demo`: the gateway before a small stand-in, with keys and certificates in `qdrant-gateway-demo/` of the working directory. Where port
 * 6333 or 6334 is in use and no flag sets another, it takes a free one. Throws `ConfigError` for a configuration that is not valid.
 */
export async function demo(flags: Flags, output: Output, cwd = process.cwd()): Promise<void> {
  const folder = join(cwd, DEMO_FOLDER);
  const before = previewConfig({ argv: flags }).config;
  // With a broken configuration the load below says what is wrong with it.
  const { http_port: rest, grpc_port: grpc } = before?.service ?? { http_port: 6333, grpc_port: 6334 };
  const own = await startOwn(folder);
  const defaults = {
    ...(flags.httpPort === undefined ? { 'service.http_port': await portOrAny(rest) } : {}),
    ...(flags.grpcPort === undefined && grpc !== null ? { 'service.grpc_port': await portOrAny(grpc) } : {}),
  };
  const config = before ?? loadState({ argv: flags, operations: OPERATION_NAMES }).config;
  await showDemo(flags, config, { folder, standIn: own, next: NEXT, defaults }, output);
}

/** The stand-in, and the folder with a note that keeps it out of a repository. */
async function startOwn(folder: string): Promise<StandIn> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, '.gitignore'), '*\n');
  return await startStandIn();
}
