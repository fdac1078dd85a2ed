// Runs a script of this project on any machine that has Node 18 or later and npm:
//   node setup.mjs <script> [arguments...]
// It installs the locked dependencies when they are missing or stale, provides a newer runtime in `.runtime/` where
// this one is too old, and then hands over. Plain JavaScript without dependencies: it must run before anything is
// installed. Everything it writes is ignored by git.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(fileURLToPath(import.meta.url));
const RUNTIME_VERSION = '26.10.0';
const RUNTIME_PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];
const LOCK_LIMIT_MS = 600_000;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'];

// Oldest releases without known holes in the parsers a gateway exposes.
const FLOORS = { 24: [24, 18, 1], 26: [26, 5, 1] };

/** True when a Node version (`v26.5.1`) is safe to run the gateway on. */
export function runtimeIsRecent(version) {
  const parts = version.replace(/^v/, '').split('-')[0].split('.').map(Number);
  const floor = parts[0] === 24 ? FLOORS[24] : FLOORS[26];
  const at = parts.findIndex((part, index) => part !== floor[index]);
  return at === -1 || parts[at] > floor[at];
}

/** Digest of a lock file, the content of the stamp of a finished installation. */
export function stampOf(lockText) {
  return createHash('sha256').update(lockText).digest('hex');
}

/**
 * True when the packages npm says it installed (`node_modules/.package-lock.json`, written last by npm) are those of
 * the lock. Optional packages may be absent: they are for other platforms.
 */
export function installedMatchesLock(lockText, installedText) {
  let wanted;
  let installed;
  try {
    wanted = JSON.parse(lockText).packages;
    installed = JSON.parse(installedText).packages;
  } catch {
    return false;
  }
  if (typeof wanted !== 'object' || typeof installed !== 'object') return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

/** What to do about `node_modules`: `ready`, `stamp` (right, but not stamped yet) or `install`. */
export function judgeInstallation({ lockText, stampText, installedText }) {
  if (installedText === undefined) return 'install';
  if (stampText === stampOf(lockText)) return 'ready';
  return installedMatchesLock(lockText, installedText) ? 'stamp' : 'install';
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

function fail(text) {
  say(`setup: ${text}`);
  process.exit(1);
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function runQuietly(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    const keep = (bytes) => {
      output = (output + bytes).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    // Not left to write on while the next run begins.
    const stop = (signal) => {
      child.kill(signal);
      process.exit(128 + constants.signals[signal]);
    };
    for (const signal of SIGNALS) process.once(signal, stop);
    const settle = (result) => {
      for (const signal of SIGNALS) process.removeListener(signal, stop);
      resolve(result);
    };
    child.on('error', (error) => settle({ ok: false, output: error.message, missing: error.code === 'ENOENT' }));
    child.on('close', (code) => settle({ ok: code === 0, output, missing: false }));
  });
}

async function npm(args, what) {
  // A production environment would leave out what the tests and the demo need.
  const result = await runQuietly('npm', [...args, '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund']);
  if (result.ok) return;
  if (result.missing) fail(`${what} needs npm, which was not found on the PATH`);
  say(result.output.trimEnd());
  const unreachable = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH/.test(result.output);
  fail(
    unreachable ? `${what} failed: the npm registry cannot be reached` : `${what} failed, npm's own words are above`,
  );
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

// A folder is renamed into place with the owner's id inside: it is there completely or not at all.
function tryLock(lock) {
  const mine = `${lock}-${process.pid}`;
  rmSync(mine, { recursive: true, force: true });
  mkdirSync(mine, { recursive: true });
  writeFileSync(join(mine, 'pid'), String(process.pid));
  try {
    renameSync(mine, lock);
    return true;
  } catch {
    rmSync(mine, { recursive: true, force: true });
    return false;
  }
}

async function withLock(work) {
  const lock = join(ROOT, '.runtime', 'lock');
  const until = Date.now() + LOCK_LIMIT_MS;
  let told = false;
  while (!tryLock(lock)) {
    const owner = Number(readIfThere(join(lock, 'pid')));
    // Left behind by a run that was killed.
    if (owner > 0 && !isAlive(owner)) rmSync(lock, { recursive: true, force: true });
    else if (Date.now() > until)
      fail(`another set-up (process ${owner}) does not end; remove ${lock} if there is none`);
    else if (!told) say('waiting for another set-up to end ...');
    told = true;
    await sleep(200);
  }
  const release = () => rmSync(lock, { recursive: true, force: true });
  process.once('exit', release);
  try {
    await work();
  } finally {
    release();
    process.removeListener('exit', release);
  }
}

function judge() {
  const lockText = readIfThere(join(ROOT, 'package-lock.json'));
  if (lockText === undefined) fail('package-lock.json is missing');
  const stampText = readIfThere(join(ROOT, 'node_modules', '.setup-stamp'));
  const installedText = readIfThere(join(ROOT, 'node_modules', '.package-lock.json'));
  return { lockText, verdict: judgeInstallation({ lockText, stampText, installedText }) };
}

// Not `npm ci`: it refuses a lock without the optional packages of every other platform, and a registry mirror may not
// carry those. This is as strict: a clean folder, versions and digests of the lock, and a look at what came out.
async function installDependencies(lockText) {
  say('installing dependencies ...');
  const modules = join(ROOT, 'node_modules');
  rmSync(modules, { recursive: true, force: true });
  await npm(['install', '--no-save'], 'installing dependencies');
  const installedText = readIfThere(join(modules, '.package-lock.json')) ?? '';
  if (!installedMatchesLock(lockText, installedText)) fail('what npm installed differs from package-lock.json');
}

async function provideDependencies() {
  if (judge().verdict === 'ready') return;
  await withLock(async () => {
    // Asked again: the run that held the lock before may have done it.
    const { lockText, verdict } = judge();
    if (verdict === 'ready') return;
    if (verdict === 'install') await installDependencies(lockText);
    // INVARIANT: written last, so that an interrupted installation is never taken for a finished one.
    writeFileSync(join(ROOT, 'node_modules', '.setup-stamp'), stampOf(lockText));
  });
}

async function provideRuntime() {
  if (runtimeIsRecent(process.version)) return process.execPath;
  const platform = `${process.platform}-${process.arch}`;
  const wanted = `Node ${process.version} is too old (needs 24.18.1, 26.5.1 or later)`;
  if (!RUNTIME_PLATFORMS.includes(platform)) fail(`${wanted}, and there is no packaged runtime for ${platform}`);
  const folder = join(ROOT, '.runtime');
  const node = join(folder, 'node_modules', `node-${platform}`, 'bin', 'node');
  const stamp = join(folder, 'stamp');
  const ready = () => readIfThere(stamp) === `${platform} ${RUNTIME_VERSION}` && existsSync(node);
  if (ready()) return node;
  await withLock(async () => {
    if (ready()) return;
    say(`${wanted}: fetching Node ${RUNTIME_VERSION} into .runtime/ ...`);
    rmSync(stamp, { force: true });
    const name = `node-${platform}@${RUNTIME_VERSION}`;
    await npm(['install', '--prefix', folder, '--no-save', '--no-package-lock', name], 'fetching the runtime');
    const check = await runQuietly(node, ['--version']);
    if (!check.ok) fail(`the packaged runtime does not run here: ${check.output.trim()}`);
    writeFileSync(stamp, `${platform} ${RUNTIME_VERSION}`);
  });
  return node;
}

function handOver(node, args) {
  const path = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`;
  const child = spawn(node, args, { stdio: 'inherit', env: { ...process.env, PATH: path } });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`cannot start ${node}: ${error.message}`));
  child.on('close', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

async function main(args) {
  if (args.length === 0) fail('usage: node setup.mjs <script> [arguments...]');
  await provideDependencies();
  handOver(await provideRuntime(), args);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(process.argv.slice(2));
}
