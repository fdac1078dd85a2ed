import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { NEEDED_NODE, runsOn } from '../../src/cli/runtime.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { cachedModules } from '../support/process/cached-modules.ts';
import { startLocalRegistry } from '../support/process/local-registry.ts';
import { findProgram } from '../support/process/programs.ts';

/*
 * The package as it is delivered: packed from a checkout that was never built, installed elsewhere without a network,
 * and run the ways an installed program is run.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-package-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const missing = ['npm', 'npx', 'tar'].filter((name) => findProgram(name) === undefined);
const skip = missing.length > 0 ? `not here: ${missing.join(', ')}` : false;

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const blank = join(folder, 'npmrc');
writeFileSync(blank, '');
const variables = {
  // The Node of this test goes first, as it would where it is the machine's.
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`,
  HOME: folder,
  npm_config_userconfig: blank,
  npm_config_globalconfig: join(folder, 'no-npmrc'),
  npm_config_cache: join(folder, 'cache'),
  npm_config_update_notifier: 'false',
  ...cachedModules(),
};

function run(file: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...variables, ...env }, timeout: 100_000, maxBuffer: 1 << 24 };
    execFile(file, args, options, (error, out, err) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
    });
  });
}

/** A checkout as git has it, with the dependencies of this one. */
function checkout(): string {
  const clone = join(folder, 'clone');
  mkdirSync(clone);
  const files = [
    'package.json',
    'package-lock.json',
    '.npmrc',
    'setup.mjs',
    'tsconfig.json',
    'tsconfig.build.json',
    'tsconfig.browser.json',
    'tsconfig.browser.build.json',
  ];
  const documents = ['README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'ARCHITECTURE.md'];
  for (const name of [...files, ...documents, 'src', 'test/cases', 'config', 'docs', 'docker']) {
    cpSync(join(ROOT, name), join(clone, name), { recursive: true });
  }
  for (const name of ['node_modules', '.runtime']) {
    if (existsSync(join(ROOT, name))) symlinkSync(join(ROOT, name), join(clone, name));
  }
  return clone;
}

const app = join(folder, 'app');
const bin = join(app, 'node_modules/.bin/qdrant-gateway');
const entry = join(app, 'node_modules/qdrant-gateway/dist/cli/main.js');

t.before(async () => {
  if (skip !== false) return;
  const clone = checkout();
  // What an earlier release left behind is not delivered.
  mkdirSync(join(clone, 'dist'));
  writeFileSync(join(clone, 'dist/gone.js'), '');
  const packed = await run('npm', ['pack', '--pack-destination', folder], clone);
  t.equal(packed.code, 0, packed.code === 0 ? 'npm pack' : packed.err);
  // npm says before it what it has run.
  const tarball = packed.out.trim().split('\n').at(-1) ?? '';
  const registry = await startLocalRegistry(ROOT);
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{"name":"app","private":true}');
  const options = ['--no-audit', '--no-fund', '--omit=optional', `--registry=${registry.url}`];
  const installed = await run('npm', ['install', ...options, join(folder, tarball)], app);
  t.equal(installed.code, 0, installed.code === 0 ? 'npm install' : installed.err);
  await registry.close();
});

t.test('the package holds the build, its documents and nothing else', { skip }, async (t) => {
  const [tarball = ''] = (await run('sh', ['-c', 'ls *.tgz'], folder)).out.trim().split('\n');
  const { out } = await run('tar', ['-tzf', join(folder, tarball)], folder);
  const files = out
    .trim()
    .split('\n')
    .map((name) => name.replace(/^package\//, ''));
  const needed = [
    ...[
      'dist/cli/main.js',
      'dist/cli/program.js',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/gateway/workers/worker.js',
    ],
    ...['dist/rest/body/thread.js', 'config/README.md', 'config/gateway.schema.json', 'docs/guides/operating.md'],
    ...['README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'package.json'],
  ];
  t.strictSame(
    needed.filter((name) => !files.includes(name)),
    [],
    'what is needed is in it',
  );
  const expected =
    /^(dist\/[\w/-]+\.(js|d\.ts)|dist\/console\/browser\/[\w-]+\.css|(config|docs)\/[\w./-]+|[A-Z]+(\.md)?|package\.json)$/;
  t.strictSame(
    files.filter((name) => !expected.test(name) || name.includes('gone')),
    [],
    'and nothing else is',
  );
});

t.test('the installed program says its release', { skip }, async (t) => {
  const { version }: { version: string } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const elsewhere = join(folder, 'bin');
  mkdirSync(elsewhere);
  const link = join(elsewhere, 'qdrant-gateway');
  symlinkSync(bin, link);
  const ways: [name: string, file: string, args: string[]][] = [
    ['npx', 'npx', ['--offline', 'qdrant-gateway', '--version']],
    ['the link in .bin', bin, ['--version']],
    ['a link to that link', link, ['--version']],
    ['the file itself', entry, ['--version']],
    ['node and the file', process.execPath, [entry, '--version']],
    ['node and a link', process.execPath, [link, '--version']],
  ];
  for (const [name, file, args] of ways) {
    t.strictSame(await run(file, args, app), { code: 0, out: `${version}\n`, err: '' }, name);
  }
});

t.test('check-config tells good settings from bad ones', { skip }, async (t) => {
  const upstream = { QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1', QDRANT__SERVICE__GRPC_PORT: '' };
  const good = await run(bin, ['check-config'], app, { ...upstream, QDRANT__SERVICE__API_KEY: 'a'.repeat(32) });
  t.match(good, { code: 0, out: /http_port: 6333/ });
  t.match(await run(bin, ['check-config'], app, upstream), { code: 2, err: /api_key/ });
  t.match(await run(bin, ['no-such-command'], app), { code: 2 });
});

function bodyThatIsJudgedInAThread(): string {
  return JSON.stringify({ filter: { must: [{ key: 'k', match: { any: Array(40_000).fill('word') } }] } });
}

t.test('serve answers, in this process and from workers, and judges large bodies', { skip }, async (t) => {
  const fake = await startFakeQdrant({ record: false });
  t.teardown(() => fake.close());
  const key = 'k'.repeat(40);
  const env = {
    QDRANT__SERVICE__API_KEY: key,
    QDRANT__SERVICE__JWT_RBAC: 'true',
    QDRANT__SERVICE__HOST: '127.0.0.1',
    QDRANT__SERVICE__HTTP_PORT: '0',
    QDRANT__SERVICE__GRPC_PORT: '0',
    QDRANT_GATEWAY__UPSTREAM__REST_URL: fake.restUrl,
    QDRANT_GATEWAY__UPSTREAM__GRPC_URL: fake.grpcUrl,
  };
  await fetch(`${fake.restUrl}/collections/a`, { method: 'PUT', body: '{"vectors":{"size":1,"distance":"Dot"}}' });
  const token = (await run(bin, ['token', '--collection', 'a=r'], app, env)).out.trim();
  for (const workers of ['1', '2']) {
    const child = spawn(bin, ['serve'], { cwd: app, env: { ...variables, ...env, QDRANT_GATEWAY__WORKERS: workers } });
    const ended = once(child, 'close');
    let said = '';
    const url = await new Promise<string>((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        const found = /rest listens on (http:\S+),/.exec(said)?.[1];
        if (found !== undefined) resolve(found);
      });
      child.once('close', () => reject(new Error(`serve ended: ${said}`)));
    });
    const status = async (path: string, credential: string, body?: string) =>
      (await fetch(`${url}${path}`, { headers: { 'api-key': credential }, ...(body && { method: 'POST', body }) }))
        .status;
    t.equal(await status('/collections', key), 200, `${workers}: the key is let through`);
    t.equal(await status('/collections', 'wrong'), 401, `${workers}: another is not`);
    const body = bodyThatIsJudgedInAThread();
    t.equal(await status('/collections/a/points/scroll', token, body), 200, `${workers}: a large body is judged`);
    t.equal(await status('/collections/b/points/scroll', token, body), 403, `${workers}: and refused elsewhere`);
    child.kill('SIGTERM');
    t.strictSame(await ended, [0, null], `${workers}: SIGTERM ends it in order`);
  }
});

t.test('a Node that is too old is told so, and the process fails', { skip }, async (t) => {
  const refusal = (version: string) => ({
    code: 1,
    out: '',
    err: `error: qdrant-gateway needs Node ${NEEDED_NODE}; this is ${version}\n`,
  });
  const disguise = `data:text/javascript,Object.defineProperty(process,'version',{value:'v20.20.2'})`;
  for (const args of [['serve'], ['--version'], []]) {
    const told = await run(process.execPath, ['--import', disguise, entry, ...args], app);
    t.strictSame(told, refusal('v20.20.2'), `a Node that says it is old: ${args.join(' ')}`);
  }
  const old = await oldNodes();
  if (old.length === 0) t.comment('no old Node is on this machine');
  for (const [node, version] of old) {
    for (const [file, args] of [
      [node, [entry, 'serve']],
      [bin, ['serve']],
      [bin, ['--version']],
      ['npx', ['--offline', 'qdrant-gateway', 'check-config']],
    ] as const) {
      const path = { PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` };
      t.strictSame(await run(file, args, app, path), refusal(version), `${version}: ${args.join(' ')}`);
    }
  }
});

/** Nodes on the path that the gateway does not run on. */
async function oldNodes(): Promise<(readonly [path: string, version: string])[]> {
  const places = new Set(['/usr/local/bin', '/usr/bin', ...(process.env.PATH ?? '').split(delimiter)]);
  const found: [string, string][] = [];
  for (const node of [...places].map((place) => join(place, 'node')).filter((path) => existsSync(path))) {
    const version = (await run(node, ['--version'], folder)).out.trim();
    if (version !== '' && !runsOn(version) && !found.some(([, known]) => known === version))
      found.push([node, version]);
  }
  return found;
}

t.test('a program that is incomplete fails, and says why', { skip }, async (t) => {
  const broken = join(folder, 'broken');
  cpSync(join(app, 'node_modules/qdrant-gateway'), broken, { recursive: true });
  const { code, out, err } = await run(process.execPath, [join(broken, 'dist/cli/main.js'), 'serve'], broken);
  t.strictSame([code, out], [1, '']);
  t.match(err, /^error: qdrant-gateway cannot start: .*\n$/, 'dependencies are missing');
});
