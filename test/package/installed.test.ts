import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import t from 'tap';
import { NEEDED_NODE } from '../../src/cli/runtime.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { type OtherNode, otherNodes } from '../support/process/other-nodes.ts';
import { missingForPacking, PackedPackage } from '../support/process/packed-package.ts';

/*
 * The package as it is delivered: packed from a checkout that was never built, installed elsewhere without a network, and run the ways
 * an installed program is run.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-package-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const missing = missingForPacking();
const skip = missing.length > 0 ? `not here: ${missing.join(', ')}` : false;

const delivered = new PackedPackage(folder);
const { variables } = delivered;
const run = delivered.run.bind(delivered);

const app = join(folder, 'app');
const bin = join(app, 'node_modules/.bin/qdrant-gateway');
const entry = join(app, 'node_modules/qdrant-gateway/dist/cli/main.js');

t.before(async () => {
  if (skip === false) await delivered.install(await delivered.pack(delivered.checkout('clone')));
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
  const old = otherNodes().filter(({ supported }) => !supported);
  if (old.length === 0) t.comment('no old Node is on this machine (.ci/programs installs some)');
  for (const { path: node, version } of old) {
    for (const [file, args] of [
      [node, [entry, 'serve']],
      [bin, ['serve']],
      [bin, []],
    ] as const) {
      const path = { PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` };
      t.strictSame(await run(file, args, app, path), refusal(version), `${version}: ${args.join(' ')}`);
    }
  }
});

t.test('a program that is incomplete fails, and says why', { skip }, async (t) => {
  const broken = join(folder, 'broken');
  cpSync(join(app, 'node_modules/qdrant-gateway'), broken, { recursive: true });
  const { code, out, err } = await run(process.execPath, [join(broken, 'dist/cli/main.js'), 'serve'], broken);
  t.strictSame([code, out], [1, '']);
  t.match(err, /^error: qdrant-gateway cannot start: .*\n$/, 'dependencies are missing');
});

/** Starts the demo in an empty folder as `npx` does, on a Node; resolves with what it has printed. */
async function startDemo(node: OtherNode | { readonly path: string }, cwd: string) {
  const path = { PATH: `${dirname(node.path)}${delimiter}${process.env.PATH ?? ''}` };
  const child = spawn(bin, [], { cwd, env: { ...variables, ...path }, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  let [printed, errors] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      if (printed.includes('It shows its plan first.')) resolve();
    });
    child.once('close', () => reject(new Error(`the demo ended: ${errors}`)));
  });
  const stop = async () => {
    child.kill('SIGTERM');
    return await ended;
  };
  return { printed, stop, found: (pattern: RegExp): string => pattern.exec(printed)?.[1] ?? '' };
}

/** This Node, and the one of the other supported line if it is here. */
const supported = [
  { path: process.execPath, version: process.version },
  ...otherNodes().filter((one) => one.supported),
];
if (!supported.some(({ version }) => version.startsWith('v24.')))
  t.comment('Node 24 is not here (.ci/programs installs it)');

for (const node of supported) {
  t.test(`nothing configured: the demo in an empty folder, on Node ${node.version}`, { skip }, async (t) => {
    const empty = mkdtempSync(join(folder, 'empty-'));
    const demo = await startDemo(node, empty);
    const [url, token] = [demo.found(/REST +(https:\S+)/), demo.found(/^TOKEN=(\S+)$/m)];
    const ask = async (path: string, key?: string, body?: object) => {
      const args = ['-s', '-o', join(empty, 'answer'), '-w', '%{http_code}', '--cacert', demo.found(/CA file +(\S+)/)];
      const json = body ? ['-H', 'content-type: application/json', '-d', JSON.stringify(body)] : [];
      return (await run('curl', [...args, ...json, ...(key ? ['-H', `api-key: ${key}`] : []), url + path], empty)).out;
    };
    t.equal(await ask('/collections'), '401', 'a stranger is refused');
    t.equal(await ask('/collections/private', token), '403', 'the token is refused elsewhere');
    const query = { query: [0.2, 0.1, 0.9, 0.7], limit: 2, with_payload: true };
    t.equal(await ask('/collections/demo/points/query', token, query), '200', 'and searches its own collection');
    const { result } = JSON.parse(readFileSync(join(empty, 'answer'), 'utf8'));
    t.match(result.points, [{ payload: { city: 'New York' } }, { payload: { city: 'Berlin' } }]);
    const grpcUrl = demo.found(/gRPC +(https:\S+)/);
    const [, port = ''] = /:(\d+)$/.exec(grpcUrl) ?? [];
    const ca = readFileSync(join(empty, demo.found(/CA file +(\S+)/)));
    const client = rawClient({ ca, grpc: { port: Number(port), url: grpcUrl } });
    t.teardown(() => client.close());
    const count = async (collection: string, key: string) =>
      (await unary(client, '/qdrant.Points/Count', message({ 1: collection }), { 'api-key': key })).code;
    t.strictSame(
      [await count('demo', token), await count('private', token), await count('demo', 'wrong')],
      [0, status.PERMISSION_DENIED, status.UNAUTHENTICATED],
      'gRPC decides alike',
    );
    const made = join(empty, 'qdrant-gateway-demo');
    const modes = Object.fromEntries(readdirSync(made).map((name) => [name, statSync(join(made, name)).mode & 0o777]));
    t.match(modes, { 'key.pem': 0o600, 'keys.json': 0o600, '.gitignore': 0o644 });
    t.strictSame(await demo.stop(), [0, null]);
  });
}

t.test('a program of TypeScript takes the types, and its gateway answers', { skip }, async (t) => {
  const page = readFileSync(join(ROOT, 'docs/reference/api.md'), 'utf8');
  const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(page) ?? [];
  writeFileSync(join(app, 'example.ts'), example);
  // Types of Node, and nothing else of this checkout.
  mkdirSync(join(app, 'node_modules/@types'), { recursive: true });
  for (const name of ['@types/node', 'undici-types']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(app, 'node_modules', name));
  }
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--skipLibCheck', 'false'];
  const target = ['--module', 'nodenext', '--target', 'es2024', '--types', 'node', '--noEmit'];
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const compile = (file: string) => run(process.execPath, [compiler, ...strict, ...target, file], app);
  t.strictSame(await compile('example.ts'), { code: 0, out: '', err: '' }, 'it compiles');
  writeFileSync(join(app, 'wrong.ts'), `${example}\nconst port: string = (await open('', '')).warnings;\n`);
  t.match(await compile('wrong.ts'), { code: 1, out: /TS2322/ }, 'and a wrong use does not');
  const fake = await startFakeQdrant({ record: false });
  t.teardown(() => fake.close());
  for (const { path, version } of supported) {
    const ran = await run(path, ['example.ts', fake.restUrl], app);
    t.strictSame(ran, { code: 0, out: 'without a key: 401\n', err: '' }, `it runs on ${version}`);
  }
});
