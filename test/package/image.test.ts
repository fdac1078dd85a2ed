import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { missingForPacking, PackedPackage } from '../support/process/packed-package.ts';
import { findProgram, runProgram } from '../support/process/programs.ts';
import { freePort } from '../support/process/redis.ts';
import { until } from '../support/until.ts';

/*
 * The files of the image, put together by the script that the Dockerfile runs, and started as a container runtime would: a root of their
 * own that is read-only, the user of the image, no privileges, process 1. No Docker is needed; its build steps are not run here.
 */
const ROOT = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-image-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
chmodSync(folder, 0o755);

const MOST_BYTES = 200_000_000;
const [root, secrets, volume] = [join(folder, 'root'), join(folder, 'secrets'), join(folder, 'volume')];
/** The folder that the user of the image may write. */
const STATE = '/var/lib/qdrant-gateway';
const missing = [...missingForPacking(), ...['bash', 'ldd', 'cp'].filter((name) => findProgram(name) === undefined)];
const skip =
  process.platform !== 'linux' ? 'not Linux' : missing.length > 0 ? `not here: ${missing.join(', ')}` : false;

const dockerfile = readFileSync(join(ROOT, 'docker/Dockerfile'), 'utf8');
const guide = readFileSync(join(ROOT, 'docker/README.md'), 'utf8');
const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));

/** The words of an instruction in JSON form, with files below the working directory made absolute. */
function wordsOf(instruction: string): readonly string[] {
  const [, list = '[]'] = new RegExp(`^${instruction}[^[]*(\\[.*\\])$`, 'm').exec(last.replaceAll('\\\n', '')) ?? [];
  const workdir = /^WORKDIR (\S+)$/m.exec(last)?.[1] ?? '/';
  const words: string[] = JSON.parse(list);
  return words.map((word) =>
    word.includes('/') ? resolve(workdir, word) : word === 'node' ? '/usr/local/bin/node' : word,
  );
}

/** Folders of packages that run time needs, by the lock file. */
function runtimePackages(): readonly string[] {
  const { packages }: { packages: Record<string, { dev?: boolean; devOptional?: boolean }> } = JSON.parse(
    readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
  );
  return Object.entries(packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional && existsSync(join(ROOT, path)))
    .map(([path]) => path);
}

interface File {
  readonly path: string;
  readonly size: number;
  readonly mode: number;
}

function filesBelow(place: string): readonly File[] {
  return readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: path.slice(root.length), size: statSync(path).size, mode: statSync(path).mode & 0o7777 }));
}

t.before(async () => {
  if (skip !== false) return;
  const delivered = new PackedPackage(folder);
  const build = delivered.checkout('build');
  const built = await delivered.run('npm', ['run', '--silent', 'build'], build);
  t.equal(built.code, 0, built.code === 0 ? 'npm run build' : built.err);
  rmSync(join(build, 'node_modules'));
  for (const path of runtimePackages()) {
    const filter = (from: string) => !from.slice(join(ROOT, path).length).includes('/node_modules');
    cpSync(join(ROOT, path), join(build, path), { recursive: true, filter });
  }
  const made = await runProgram(join(ROOT, 'docker/assemble.sh'), [build, process.execPath, root]);
  t.equal(made.code, 0, made.code === 0 ? 'assemble.sh' : made.err);
});

t.test('it is small, and holds no shell, no type and nothing that all may change', { skip }, async (t) => {
  const files = filesBelow(root);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  t.ok(bytes < MOST_BYTES, `${Math.round(bytes / 1e6)} MB, at most ${MOST_BYTES / 1e6}`);
  t.comment(
    `${files.length} files, ${Math.round(bytes / 1e6)} MB, without Node ${Math.round((bytes - statSync(process.execPath).size) / 1e6)} MB`,
  );
  const programs = files.filter(({ path }) => /^\/(usr\/)?(local\/)?s?bin\//.test(path)).map(({ path }) => path);
  t.strictSame(programs, ['/usr/local/bin/node'], 'Node is the only program');
  const wrong = files.filter(
    ({ path, mode }) => (mode & 0o6022) !== 0 || (mode & 0o004) === 0 || path.endsWith('.d.ts'),
  );
  t.strictSame(wrong, []);
  t.ok(files.some(({ path }) => path === '/app/dist/cli/main.js'));
  t.notOk(existsSync(join(root, 'app/node_modules/typescript')), 'no package of development');
});

t.test('the Dockerfile names a digest, a user by number and a check by the program itself', async (t) => {
  const froms = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, from = '']) => from);
  t.match(froms, [/^node:\d+\.\d+\.\d+-bookworm-slim@sha256:[0-9a-f]{64}$/, 'scratch']);
  t.match(last, /^USER 1000:1000$/m);
  t.strictSame(wordsOf('ENTRYPOINT'), ['/usr/local/bin/node', '/app/dist/cli/main.js']);
  t.strictSame(wordsOf('HEALTHCHECK'), ['/usr/local/bin/node', '/app/dist/cli/main.js', 'health']);
  t.strictSame(wordsOf('CMD'), ['serve']);
  const ignored = readFileSync(join(ROOT, 'docker/Dockerfile.dockerignore'), 'utf8');
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) => names.split(' '));
  const hidden = copied.filter((name) => !ignored.split('\n').includes(`!${name}`));
  t.strictSame(hidden, [], 'what it copies reaches the build, and the rest does not');
});

t.test('its user may write one folder, where it starts', { skip }, async (t) => {
  t.equal(/^WORKDIR (\S+)$/m.exec(last)?.[1], STATE);
  const { mode, uid, gid } = statSync(join(root, STATE));
  t.equal(mode & 0o777, 0o700);
  if (process.getuid?.() === 0) t.strictSame([uid, gid], [1000, 1000]);
  const folders = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => statSync(path).uid === 1000 || (statSync(path).mode & 0o002) !== 0)
    .map((path) => path.slice(root.length));
  t.strictSame(folders.sort(), process.getuid?.() === 0 ? ['/tmp', STATE] : ['/tmp'], 'and no other but /tmp');
});

/**
 * Command line that gives what follows a read-only root, the secrets, a volume (or none), a process table and devices, and no privileges.
 */
const JAIL = [
  ...['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c'],
  [
    'set -e',
    'mount --make-rprivate /',
    'mount --bind "$0" "$0" && mount --bind "$1" "$0/run/secrets"',
    `if [ -n "$2" ]; then mount --bind "$2" "$0${STATE}"; fi`,
    'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev"',
    'mount -o remount,bind,ro "$0" && mount -o remount,bind,ro "$0/run/secrets"',
    'root=$0; shift 2',
    `exec setpriv --no-new-privs unshare --root="$root" --wd=${STATE} --setuid=1000 --setgid=1000 "$@"`,
  ].join('\n'),
];

/** With a volume, what is kept by a relative name outlives the process; without one nothing can be written. */
function jailed(words: readonly string[], env: Readonly<Record<string, string>>, state = volume): ChildProcess {
  return spawn('unshare', [...JAIL, root, secrets, state, ...words], {
    env: { PATH: process.env.PATH ?? '', NODE_ENV: 'production', ...env },
  });
}

async function outputOf(child: ChildProcess): Promise<{ readonly code: number | null; readonly out: string }> {
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (out += text));
  const [code] = await once(child, 'close');
  return { code, out };
}

/** Why nothing can be jailed here; `false` = it can. */
async function whyNoJail(): Promise<string | false> {
  if (skip !== false) return skip;
  if (process.getuid?.() !== 0) return 'only root can give a process a root of its own';
  if (findProgram('unshare') === undefined || findProgram('setpriv') === undefined) return 'not here: util-linux';
  const tried = await runProgram('unshare', [
    '--mount',
    '--pid',
    '--fork',
    'sh',
    '-c',
    'mount --make-rprivate / && mount -t proc proc /proc',
  ]);
  return tried.code === 0 ? false : 'mounts are not permitted here';
}

/** A gateway in the jail: resolves once REST listens. */
async function startJailed(env: Readonly<Record<string, string>>) {
  const child = jailed([...wordsOf('ENTRYPOINT'), ...wordsOf('CMD')], env);
  const ended = once(child, 'close');
  let said = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const found = /rest listens on (https:\S+),/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('close', () => reject(new Error(`serve ended: ${said}`)));
  });
  // The gateway is process 1 of its own table: its parent here is `unshare`.
  const [pid = 0] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').map(Number);
  return { url, pid, ended, said: () => said };
}

/** What a container runtime and its user put in place: names of hosts, the secrets, and a new volume with the owner of its folder in the image. */
async function prepare(): Promise<void> {
  mkdirSync(join(root, 'run/secrets'), { recursive: true });
  mkdirSync(secrets);
  // A container runtime puts it there.
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
  const { cert, key } = await makeDevCerts(join(folder, 'tls'));
  writeFileSync(join(secrets, 'api-key'), SECRETS.adminKey);
  for (const [from, name] of [
    [cert, 'tls.crt'],
    [key, 'tls.key'],
  ] as const) {
    cpSync(from, join(secrets, name));
  }
  for (const name of readdirSync(secrets)) {
    chmodSync(join(secrets, name), 0o400);
    chownSync(join(secrets, name), 1000, 1000);
  }
  const copied = await runProgram('cp', ['-a', join(root, STATE), volume]);
  if (copied.code !== 0) throw new Error(copied.err);
}

const SECRETS = { ca: join(folder, 'tls/ca.pem'), adminKey: 'k'.repeat(40) };

const [restart, fake] = [3 * PATIENCE_MS, { url: '', grpc: '' }];
let why: string | false = false;
t.before(async () => {
  why = await whyNoJail();
  if (why !== false) return;
  await prepare();
  const upstream = await startFakeQdrant({ record: false });
  t.teardown(() => upstream.close());
  // A name, so that names are looked up in the root of the image.
  Object.assign(fake, { url: upstream.restUrl.replace('127.0.0.1', 'localhost'), grpc: upstream.grpcUrl });
});

/** The settings of a gateway, with its certificate in files. */
async function settings(more: Readonly<Record<string, string>>, tls = true): Promise<Readonly<Record<string, string>>> {
  return {
    QDRANT__SERVICE__API_KEY_FILE: '/run/secrets/api-key',
    ...(tls && {
      QDRANT__SERVICE__ENABLE_TLS: 'true',
      QDRANT__TLS__CERT: '/run/secrets/tls.crt',
      QDRANT__TLS__KEY: '/run/secrets/tls.key',
    }),
    QDRANT__SERVICE__HOST: '127.0.0.1',
    QDRANT__SERVICE__HTTP_PORT: '0',
    QDRANT__SERVICE__GRPC_PORT: '0',
    QDRANT_GATEWAY__UPSTREAM__REST_URL: fake.url,
    QDRANT_GATEWAY__UPSTREAM__GRPC_URL: fake.grpc,
    QDRANT_GATEWAY__ADMIN__PORT: String(await freePort()),
    QDRANT_GATEWAY__LOG__FORMAT: 'pretty',
    ...more,
  };
}

const asking = (url: string, ...more: string[]) =>
  runProgram('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', SECRETS.ca, ...more, url]);
const withKey = ['-H', `api-key: ${SECRETS.adminKey}`];

t.test('in a read-only root, as its user, it serves, is checked and stops', { timeout: restart }, async (t) => {
  if (why !== false) return t.comment(`skipped: ${why}`);
  const env = await settings({});
  const { url, pid, ended, said } = await startJailed(env);
  t.teardown(() => existsSync(`/proc/${pid}`) && process.kill(pid, 'SIGKILL'));
  t.equal((await asking(`${url}/collections`)).out, '401', 'a stranger is refused');
  t.equal((await asking(`${url}/collections`, ...withKey)).out, '200', 'the key is let through');
  const shown = readFileSync(`/proc/${pid}/status`, 'utf8');
  t.match(shown, /^Uid:\s+1000\s+1000\s+1000\s+1000$/m, 'it is user 1000');
  t.match(shown, /^CapEff:\s+0+$/m, 'without privileges');
  t.match(shown, /^NoNewPrivs:\s+1$/m, 'and will get none');
  t.match(shown, /^NSpid:\s+\d+\s+1$/m, 'it is process 1');
  const check = wordsOf('HEALTHCHECK');
  const ready = `http://127.0.0.1:${env.QDRANT_GATEWAY__ADMIN__PORT}/-/ready`;
  await until(async () => (await asking(ready)).out === '200', 'both protocols of Qdrant have answered');
  // The check has a few seconds, which a busy machine may not give it at once.
  let checked = await outputOf(jailed(check, env));
  await until(async () => {
    if (checked.code !== 0) checked = await outputOf(jailed(check, env));
    return checked.code === 0;
  }, 'the check says yes');
  t.match(checked, { code: 0, out: /answers 200/ });
  const write = `try { fs.writeFileSync(process.argv[1], '') } catch (error) { process.stdout.write(error.code) }`;
  const words = ['/usr/local/bin/node', '-e', write];
  for (const path of ['/app/x', '/tmp/x', '/run/secrets/x', '/var/lib/x']) {
    t.strictSame(await outputOf(jailed([...words, path], {})), { code: 0, out: 'EROFS' }, path);
  }
  t.strictSame(await outputOf(jailed([...words, 'x'], {})), { code: 0, out: '' }, 'the folder where it starts');
  rmSync(join(volume, 'x'));
  process.kill(pid, 'SIGTERM');
  t.strictSame(await ended, [0, null], `SIGTERM ends it in order: ${said()}`);
  t.match(await outputOf(jailed(check, env)), { code: 4, out: /does not answer/ }, 'the check says no');
});

/** Files of the volume that one user owns, with their modes. */
function kept(): Readonly<Record<string, string>> {
  const files = readdirSync(volume, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { uid, mode } = statSync(path);
      return [
        path.slice(volume.length + 1).replace(/\d{4}-\d\d-\d\d[^/]*/, 'DATE'),
        `${uid} ${(mode & 0o777).toString(8)}`,
      ];
    }),
  );
}

t.test('what it keeps is below the volume, by the defaults of the options', { timeout: 3 * restart }, async (t) => {
  if (why !== false) return t.comment(`skipped: ${why}`);
  const files = { QDRANT_GATEWAY__KEYS_FILE: 'keys.yaml', QDRANT_GATEWAY__REVOCATION__FILE: 'revocations.yaml' };
  const env = await settings({
    ...files,
    QDRANT__AUDIT__ENABLED: 'true',
    QDRANT_GATEWAY__ADMIN__TOKEN: 't'.repeat(40),
  });
  // As the guide makes it: the image has no shell, and a gateway does not start without a file of revocations that it is told of.
  const [, none = ''] = /--entrypoint node gateway -e '([^']+)'/.exec(guide) ?? [];
  t.match(await outputOf(jailed(['/usr/local/bin/node', '-e', none], {})), { code: 0 }, none);
  const create = [...wordsOf('ENTRYPOINT'), 'key', 'create', '--name', 'Team A', '--collection', 'a=r'];
  const drawn = await outputOf(jailed(create, env));
  t.equal(drawn.code, 0, drawn.out);
  const { url, pid, ended } = await startJailed(env);
  t.teardown(() => existsSync(`/proc/${pid}`) && process.kill(pid, 'SIGKILL'));
  const [, key = ''] = /(qg_\S+|\S{40,})/.exec(drawn.out) ?? [];
  t.equal(
    (await asking(`${url}/collections/a/exists`, '-H', `api-key: ${key}`)).out,
    '200',
    'the named key is let through',
  );
  const admin = `http://127.0.0.1:${env.QDRANT_GATEWAY__ADMIN__PORT}/-/revoke`;
  const bearer = ['-H', `authorization: Bearer ${'t'.repeat(40)}`, '-H', 'content-type: application/json'];
  t.equal(
    (await asking(admin, ...bearer, '-d', '{"kind":"subject","value":"alice"}')).out,
    '200',
    'a token is revoked',
  );
  process.kill(pid, 'SIGTERM');
  t.strictSame(await ended, [0, null]);
  // Nothing answers there: the account is made before it is asked.
  const acme = {
    QDRANT_GATEWAY__ACME__DOMAINS: 'gateway.test',
    QDRANT_GATEWAY__ACME__AGREE_TOS: 'true',
    QDRANT_GATEWAY__ACME__DIRECTORY: 'https://127.0.0.1:1/directory',
  };
  const second = await startJailed(await settings(acme, false));
  t.teardown(() => existsSync(`/proc/${second.pid}`) && process.kill(second.pid, 'SIGKILL'));
  await until(() => existsSync(join(volume, 'acme/account.json')), 'the account of ACME is kept');
  process.kill(second.pid, 'SIGTERM');
  await second.ended;
  const own = '1000 600';
  const { 'storage/audit/audit.DATE': audit, ...found } = kept();
  t.equal(audit, '1000 640', 'audit files are for a group, too');
  t.match(found, { 'keys.yaml': own, 'revocations.yaml': own, 'acme/account.json': own });
  t.strictSame([...new Set(Object.values(found))], [own], 'all of it for its user alone');
});

t.test('without a volume it says what it cannot write', { timeout: 3 * restart }, async (t) => {
  if (why !== false) return t.comment(`skipped: ${why}`);
  const cases: readonly (readonly [name: string, env: Readonly<Record<string, string>>, folder: RegExp])[] = [
    ['audit files', { QDRANT__AUDIT__ENABLED: 'true' }, /storage\/audit/],
    ['a development CA', { QDRANT_GATEWAY__CERTS: 'dev' }, /certs\/dev/],
  ];
  for (const [name, more, folder] of cases) {
    const env = await settings(more, !('QDRANT_GATEWAY__CERTS' in more));
    const { code, out } = await outputOf(jailed([...wordsOf('ENTRYPOINT'), ...wordsOf('CMD')], env, ''));
    t.not(code, 0, name);
    t.match(out, folder, `${name}: the folder`);
    t.match(out, /EROFS|read-only/, `${name}: and why`);
  }
});
