import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import { Command } from 'commander';
import { z } from 'zod';
import { withConfigFlags } from '../../src/cli/frame/build.ts';
import { processOutput } from '../../src/cli/frame/streams.ts';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { explainFailure, writeWarnings } from '../../src/cli/output.ts';
import { listenUrl, run, serve } from '../../src/cli/serve.ts';
import { type Flags, previewConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { KEY_NAMES, type Secrets } from '../../src/config/secrets.ts';
import { loadState } from '../../src/config/state.ts';
import type { Listening } from '../../src/gateway/gateway.ts';
import { mintToken } from '../../src/identity/token.ts';
import { OPERATION_NAMES } from '../../src/operations/names.ts';
import { startFakeQdrantApart } from './fake-qdrant/apart.ts';

/*
 * `npm start`: with an upstream configured it is `serve`; with none it shows the gateway at work before an in-memory
 * stand-in, with development certificates, keys and a token.
 */

const FOLDER = join(import.meta.dirname, '..', '..', 'certs', 'dev');
const keysSchema = z.object({ api_key: z.string().min(1), read_only_api_key: z.string().min(1) });

type DemoKeys = z.output<typeof keysSchema>;

/** The development keys of a folder; made once, so that they stay the same between runs. Mode 0600. */
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

function shortPath(path: string): string {
  const short = relative('', path);
  return short.startsWith('..') || isAbsolute(short) ? path : short;
}

type Scene = {
  readonly config: Config;
  readonly rest: Listening;
  readonly grpc: Listening | null;
  readonly ca: string | null;
  readonly keys: readonly (readonly [name: string, key: string])[];
  readonly token: string;
  readonly standIn: string;
};

function reachable(config: Config, listening: Listening): string {
  const everywhere = ['0.0.0.0', '::', '127.0.0.1'].includes(listening.host);
  return listenUrl(config, everywhere ? { ...listening, host: 'localhost' } : listening);
}

function describeScene({ config, rest, grpc, ca, keys, token, standIn }: Scene): string {
  const curl = `curl -sS -i${ca === null ? '' : ` --cacert ${shortPath(ca)}`}`;
  const url = reachable(config, rest);
  const search = `-H 'content-type: application/json' -d '{"query":[0.2,0.1,0.9,0.7],"limit":2,"with_payload":true}'`;
  const withToken = `-H "api-key: $TOKEN"`;
  return [
    '',
    'No upstream is configured: this is a demo. What is protected here is an in-memory stand-in,',
    `unsecured, on ${standIn} (loopback only), in a thread of its own; its data ends with this process.`,
    '',
    `  REST             ${url}`,
    `  gRPC             ${grpc === null ? 'off' : reachable(config, grpc)}`,
    ...(ca === null ? [] : [`  CA file          ${shortPath(ca)}`]),
    ...keys.map(([name, key]) => `  ${name.padEnd(16)} ${key}`),
    '  token            read and write, collection `demo` only:',
    '',
    `TOKEN=${token}`,
    '',
    '# allowed: the token searches its own collection',
    `${curl} ${withToken} ${search} ${url}/collections/demo/points/query`,
    '',
    '# 401: no credential',
    `${curl} ${url}/collections`,
    '',
    '# 403: the token does not name this collection',
    `${curl} ${withToken} ${url}/collections/private`,
    '',
    'More to try, with curl and with clients in TypeScript and Python: docs/guides/tutorial.md.',
    '',
    'To protect a Qdrant of your own:',
    '  npm start -- --upstream http://127.0.0.1:16333 --upstream-grpc http://127.0.0.1:16334',
    '',
  ].join('\n');
}

function demoDefaults(before: Config, keys: DemoKeys, restUrl: string, grpcUrl: string): Record<string, unknown> {
  const { service } = before;
  const own = KEY_NAMES.some((name) => service[name] !== null || service[`${name}_file`] !== null);
  return {
    ...(own ? {} : { 'service.api_key': keys.api_key, 'service.read_only_api_key': keys.read_only_api_key }),
    log_level: 'WARN',
    'service.jwt_rbac': true,
    'service.enable_tls': true,
    'service.host': '127.0.0.1',
    'tls.cert': join(FOLDER, 'cert.pem'),
    'tls.key': join(FOLDER, 'key.pem'),
    'gateway.upstream.rest_url': restUrl,
    'gateway.upstream.grpc_url': grpcUrl,
  };
}

// Configured keys are not printed, only those made here.
function shownKeys(secrets: Secrets, keys: DemoKeys): [string, string][] {
  const shown: [string, string][] = [];
  if (secrets.apiKey === keys.api_key) shown.push(['admin key', keys.api_key]);
  if (secrets.readOnlyApiKey === keys.read_only_api_key) shown.push(['read-only key', keys.read_only_api_key]);
  return shown;
}

async function demo(flags: Flags, before: Config): Promise<void> {
  const standIn = await startFakeQdrantApart((reason) => {
    process.exit(explainFailure(processOutput, new Error(`the stand-in for Qdrant ended: ${reason.message}`)));
  });
  try {
    await fill(standIn.restUrl);
    const keys = provideKeys(FOLDER);
    const certs = await makeDevCerts(FOLDER);
    const defaults = demoDefaults(before, keys, standIn.restUrl, standIn.grpcUrl);
    const load = () => loadState({ argv: flags, defaults, operations: OPERATION_NAMES });
    const state = load();
    const { config, secrets, warnings } = state;
    writeWarnings(processOutput, warnings);
    const secret = secrets.apiKey ?? secrets.altApiKey ?? keys.api_key;
    const token = await mintToken({ access: [{ collection: 'demo', access: 'rw' }] }, secret);
    const { rest, grpc } = await run(state, load, processOutput, () => standIn.close());
    const ca = config.service.enable_tls && config.tls.cert === certs.cert ? certs.ca : null;
    const shown = shownKeys(secrets, keys);
    processOutput.out(describeScene({ config, rest, grpc, ca, keys: shown, token, standIn: standIn.restUrl }));
  } catch (error) {
    await standIn.close();
    throw error;
  }
}

async function start(args: readonly string[]): Promise<void> {
  const command = withConfigFlags(new Command('npm start --')).parse(args, { from: 'user' });
  const flags = command.opts<Flags>();
  const { config } = previewConfig({ argv: flags });
  // With a broken configuration `serve` says what is wrong with it.
  const upstream = config?.gateway.upstream;
  const standAlone = config !== null && upstream?.rest_url === null && upstream.grpc_url === null;
  await (standAlone ? demo(flags, config) : serve(flags, processOutput));
}

if (import.meta.main) {
  try {
    await start(process.argv.slice(2));
  } catch (error) {
    process.exit(explainFailure(processOutput, error));
  }
}
