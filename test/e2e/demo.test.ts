import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { pythonWithClient } from '../support/clients/python.ts';
import { findProgram } from '../support/process/programs.ts';

/** `npm start` with nothing configured, and what it prints, done as it says. */
const ROOT = join(import.meta.dirname, '../..');
const env = { PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`, HOME: process.env.HOME ?? '' };

const child = spawn(process.execPath, ['test/support/demo.ts', '--http-port', '0', '--grpc-port', '0'], {
  cwd: ROOT,
  env,
  stdio: ['ignore', 'pipe', 'pipe'],
});
let printed = '';
let errors = '';
child.stderr.setEncoding('utf8').on('data', (text: string) => {
  errors += text;
});
const ended = once(child, 'close');
await new Promise<void>((resolve, reject) => {
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    if (printed.includes('--upstream-grpc')) resolve();
  });
  child.once('close', () => reject(new Error(`the demo ended: ${errors}`)));
});
t.teardown(() => child.kill('SIGKILL'));

const found = (pattern: RegExp): string => pattern.exec(printed)?.[1] ?? '';
const rest = new URL(found(/REST +(https:\S+)/));
const grpc = new URL(found(/gRPC +(https:\S+)/));

function shell(script: string, more: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, env: { ...env, ...more }, timeout: 60_000 };
    execFile('sh', ['-c', script], options, (error, out, err) => resolve(error === null ? out : `${out}${err}`));
  });
}

t.test('it says that it is a demo, where it listens, and the keys', async (t) => {
  t.match(printed, /this is a demo/);
  t.match(printed, /admin key +\S+\n +read-only key +\S+\n/);
  t.equal(errors, '');
});

const curl = findProgram('curl') === undefined ? 'curl is not here' : false;

t.test('the commands it prints do what is said above them', { skip: curl }, async (t) => {
  const token = found(/^(TOKEN=\S+)$/m);
  const commands = [...printed.matchAll(/^# (.+)\n(curl .+)$/gm)];
  const wanted = [
    ['200', 'allowed', '"city"'],
    ['401', '401: no credential', 'Must provide an API key'],
    ['403', '403: the token', 'private'],
  ] as const;
  t.equal(commands.length, wanted.length);
  for (const [at, [status, beginning, within]] of wanted.entries()) {
    const [, said = '', command = ''] = commands[at] ?? [];
    const out = await shell(`${token}\n${command}`);
    t.ok(said.startsWith(beginning), said);
    t.equal(/^HTTP\/\S+ (\d+)/.exec(out)?.[1], status, said);
    t.ok(out.includes(within), out);
  }
});

const python = pythonWithClient();
const skip = python === undefined ? 'no Python with qdrant-client is here (.ci/programs installs it)' : false;

t.test('the Python of the tutorial reads a collection over REST and gRPC', { skip }, async (t) => {
  const tutorial = readFileSync(join(ROOT, 'docs/guides/tutorial.md'), 'utf8');
  const block = /```sh\n(SSL_CERT_FILE=[\s\S]*?)```/.exec(tutorial)?.[1] ?? '';
  const script = block
    .replace('python3', python ?? '')
    .replace('6333', rest.port)
    .replace('6334', grpc.port);
  const out = await shell(script, { CA: found(/CA file +(\S+)/), READER: found(/read-only key +(\S+)/) });
  t.match(out, /^4 \[ScoredPoint\(id=3, .*\)\]\n4 \[ScoredPoint\(id=3, .*\)\]\n$/);
});

t.test('SIGTERM ends it in order, with its stand-in', async (t) => {
  const standIn = found(/on (http:\S+?) /);
  t.equal((await fetch(standIn)).status, 200);
  child.kill('SIGTERM');
  t.strictSame(await ended, [0, null]);
  await t.rejects(fetch(standIn));
});
