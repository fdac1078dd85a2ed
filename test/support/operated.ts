import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { type LoadedState, loadState } from '../../src/config/state.ts';
import { OPERATION_NAMES } from '../../src/operations/names.ts';
import { createSupervisor, type Supervisor } from '../../src/supervisor/supervisor.ts';
import { type FakeQdrantOptions, startFakeQdrant } from './fake-qdrant/main.ts';
import { KEYS, type TestGateway } from './gateway.ts';
import { quickClock } from './quick-clock.ts';

/** A gateway as it is operated: run from files that a test writes, under its supervisor. */
export interface Operated extends TestGateway {
  readonly supervisor: Supervisor;
  /** Where its files are. */
  readonly folder: string;
  /** Replaces a file at once, as mounted Secrets and editors do. */
  readonly write: (name: string, text: string | Buffer) => void;
  readonly remove: (name: string) => void;
  /** The admin port; 0 without one. */
  readonly admin: number;
}

export interface OperatedOptions {
  /** Settings by option path; they win over the file's own. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Files beside those that are always there: `api.key`, `alt.key`, `read.key`, `policy.yaml`, `cert.pem`, `key.pem`. */
  readonly files?: Readonly<Record<string, string>>;
  readonly upstream?: FakeQdrantOptions;
}

/** Two certificates of two CAs, made once. */
const made = Promise.all(['a', 'b'].map((name) => makeDevCerts(join(mkdtempSync(join(tmpdir(), 'qdrant-ca-')), name))));

/** Certificate and key of one of the two. */
export async function pairOf(
  which: 0 | 1,
): Promise<{ readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer }> {
  const files = (await made)[which];
  if (!files) throw new TypeError('no such pair');
  return { cert: readFileSync(files.cert), key: readFileSync(files.key), ca: readFileSync(files.ca) };
}

/** Starts a stand-in and a supervised gateway before it, TLS on, on free ports of loopback. Watches its files. */
export async function startOperated(options: OperatedOptions = {}): Promise<Operated> {
  const upstream = await startFakeQdrant(options.upstream ?? {});
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-operated-'));
  const write = (name: string, text: string | Buffer): void => {
    const path = join(folder, name);
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  const [first, second] = [await pairOf(0), await pairOf(1)];
  const files = { 'api.key': KEYS.admin, 'read.key': KEYS.readOnly, 'policy.yaml': 'rules: []\n', ...options.files };
  for (const [name, text] of Object.entries(files)) write(name, text);
  write('cert.pem', first.cert);
  write('key.pem', first.key);
  const defaults = {
    'service.host': '127.0.0.1',
    'service.http_port': 0,
    'service.grpc_port': 0,
    'service.api_key_file': join(folder, 'api.key'),
    'service.read_only_api_key_file': join(folder, 'read.key'),
    'service.jwt_rbac': true,
    'service.enable_tls': true,
    'tls.cert': join(folder, 'cert.pem'),
    'tls.key': join(folder, 'key.pem'),
    log_level: 'off',
    'gateway.upstream.rest_url': upstream.restUrl,
    'gateway.upstream.grpc_url': upstream.grpcUrl,
    'gateway.policy_file': join(folder, 'policy.yaml'),
    'gateway.learn_file': join(folder, 'learned.yaml'),
    ...options.settings,
  };
  write('gateway.yaml', '{}\n');
  const argv = { config: join(folder, 'gateway.yaml') };
  const load = (): LoadedState => loadState({ argv, env: {}, cwd: folder, defaults, operations: OPERATION_NAMES });
  const supervisor = await createSupervisor({ state: load(), load, clock: quickClock() });
  const { rest, grpc, admin } = await supervisor.start();
  if (grpc === null) throw new TypeError('the test gateway has no gRPC listener');
  const scheme = defaults['service.enable_tls'] ? 'https' : 'http';
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, Buffer.concat([first.ca, second.ca]));
  return {
    supervisor,
    folder,
    write,
    remove: (name) => rmSync(join(folder, name)),
    upstream,
    admin: admin?.port ?? 0,
    rest: { ...rest, url: `${scheme}://localhost:${rest.port}` },
    grpc: { ...grpc, url: `${scheme}://localhost:${grpc.port}` },
    ca: readFileSync(ca),
    caFile: ca,
    close: async () => {
      await supervisor.stop(0);
      await upstream.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/**
 * A folder laid out as Kubernetes mounts a Secret: files are links through `..data` to a folder of their own, and `swap`
 * puts another one in its place in one step.
 */
export function mountSecret(folder: string): { readonly swap: (files: Readonly<Record<string, string>>) => void } {
  mkdirSync(folder, { recursive: true });
  let version = 0;
  return {
    swap(files) {
      const before = join(folder, `..${version}`);
      version += 1;
      const data = `..${version}`;
      mkdirSync(join(folder, data));
      for (const [name, text] of Object.entries(files)) {
        writeFileSync(join(folder, data, name), text);
        if (version === 1) symlinkSync(join('..data', name), join(folder, name));
      }
      symlinkSync(data, join(folder, '..data_tmp'));
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
      rmSync(before, { recursive: true, force: true });
    },
  };
}
