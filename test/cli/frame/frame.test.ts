import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { COMMANDS, GROUPS } from '../../../src/cli/commands/all.ts';
import { completionScript } from '../../../src/cli/frame/completion.ts';
import { longName } from '../../../src/cli/frame/declare.ts';
import { main } from '../../../src/cli/program.ts';
import { gatewayVersion } from '../../../src/version.ts';
import { cliPage } from '../../support/cli-page.ts';
import { findProgram } from '../../support/process/programs.ts';
import { runScript } from '../../support/process/run-script.ts';

const ROOT = join(import.meta.dirname, '../../..');
const MAIN = join(ROOT, 'src/cli/main.ts');
const KEY = 'an-admin-key-of-thirty-two-bytes!';

/** A command line in this process, with what it writes. */
async function say(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const code = await main(args, {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
  });
  return { code, ...said };
}

t.test('every command has an example, help with its own options first, and a text of one line', async (t) => {
  for (const { name, summary, examples, options = {}, config, json } of COMMANDS) {
    const { code, out, err } = await say(...name.split(' '), '--help');
    t.strictSame([code, err], [0, ''], name);
    t.match(summary, /^[a-z].*[^.]$/, name);
    for (const [line] of examples) t.ok(out.includes(line), `${name}: ${line}`);
    t.ok(examples.length > 0, name);
    const places = Object.keys(options).map((option) => out.indexOf(`--${longName(option)}`));
    if (config) places.push(out.indexOf('\nConfiguration:'));
    places.push(out.indexOf('\nExamples:'));
    t.strictSame(
      places,
      places.toSorted((a, b) => a - b),
      `${name}: the order`,
    );
    t.notOk(places.includes(-1), `${name}: all are shown`);
    t.equal(out.includes('--json'), json !== false, name);
  }
  const groups = new Set(COMMANDS.map(({ name }) => name.split(' ').slice(0, -1).join(' ')));
  t.strictSame(Object.keys(GROUPS).toSorted(), [...groups].filter((name) => name !== '').toSorted());
});

t.test('the reference page is made from the declarations', async (t) => {
  t.equal(
    readFileSync(join(ROOT, 'docs/reference/cli.md'), 'utf8'),
    cliPage(),
    'node setup.mjs test/support/cli-page.ts',
  );
});

t.test('help and release end well', async (t) => {
  t.match(await say('--version'), { code: 0, out: `${gatewayVersion()}\n`, err: '' });
  const { out } = await say('--help');
  for (const { name } of COMMANDS) t.match(out, `  ${name.split(' ')[0]}`);
  t.match(out, /Exit codes:\n {2}0 {2}.*\n {2}1 {2}/);
  t.match((await say('help', 'token')).out, 'mint [options]');
});

const MISTAKES: readonly (readonly [line: string, text: string])[] = [
  ['tokn', 'error: unknown command `tokn`, did you mean `token`?\n'],
  ['key crate', 'error: unknown command `crate` of `key`, did you mean `create`?\n'],
  ['token inspct', 'error: unknown command `inspct` of `token`, did you mean `inspect`?\n'],
  ['check-config --htp-port 1', "error: unknown option '--htp-port'\n(Did you mean --http-port?)\n"],
  ['options more', 'error: this command takes fewer arguments `more`\n'],
  ['key show', "error: missing required argument 'id'\n"],
  ['key create', "error: required option '--name <text>' not specified\n"],
  ['token --access', "error: option '--access <letter>' argument missing\n"],
];

t.test('a mistake is said with the nearest name, as text and as JSON', async (t) => {
  for (const [line, text] of MISTAKES) {
    t.strictSame(await say(...line.split(' ')), { code: 2, out: '', err: text }, line);
    const { code, out } = await say(...line.split(' '), '--json');
    const message = text.slice('error: '.length, -1);
    if (line !== 'token --access')
      t.strictSame([code, JSON.parse(out)], [2, { error: { code: 'ERR_USAGE', message } }], line);
  }
  t.match(await say('key'), { code: 2, out: '', err: /Usage: qdrant-gateway key/ });
});

t.test('a secret is never an argument, and a mistaken one is not repeated', async (t) => {
  const token = 'eyJhbGciOiJIUzI1NiJ9.eyJhY2Nlc3MiOiJtIn0.c2VjcmV0';
  for (const line of [
    `--api-key ${token}`,
    `token mint --secret=${token}`,
    `check-config --apikey=${token}`,
    `token --token ${token}`,
    token,
    `token ${token}`,
    `serve ${token}`,
    `key list --unknown=${token}`,
  ]) {
    const { code, out, err } = await say(...line.split(' '));
    t.strictSame([code, out], [2, ''], line.slice(0, 20));
    t.notMatch(err, 'eyJ', err);
  }
  t.match((await say('--api-key', token)).err, 'a secret is never an argument');
});

t.test('the old forms of commands work', async (t) => {
  for (const line of [
    'token --help',
    'token inspect --help',
    'revoke --help',
    'audit head --help',
    'options',
    'schema --keys',
  ]) {
    t.match(await say(...line.split(' ')), { code: 0, err: '' }, line);
  }
});

t.test('completions know every command and option', async (t) => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const script = completionScript(shell, COMMANDS);
    for (const { name, options = {} } of COMMANDS) {
      t.ok(script.includes(name), `${shell}: ${name}`);
      for (const option of Object.keys(options)) t.ok(script.includes(longName(option)), `${shell}: ${option}`);
    }
  }
  t.match(await say('completion', 'csh'), { code: 2, err: 'error: there are completions for bash, zsh, fish\n' });
  const bash = findProgram('bash');
  if (bash === undefined) return t.comment('bash is not installed');
  const complete = (...words: readonly string[]): string => {
    const line = ['qdrant-gateway', ...words].map((word) => `'${word}'`).join(' ');
    const ask = `COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _qdrant_gateway; echo "\${COMPREPLY[@]}"`;
    return execFileSync(bash, ['-c', `${completionScript('bash', COMMANDS)}\n${ask}`], { encoding: 'utf8' }).trim();
  };
  t.equal(complete('che'), 'check-config');
  t.equal(complete('key', 'ro'), 'key rotate'.slice(4));
  t.match(complete('key', 'rotate', '--o'), '--overlap');
  t.equal(complete('token', '--sub'), '--sub --subject');
  t.equal(complete('token', 'mint', '--sub', ''), '', 'a value of the caller');
  for (const other of ['zsh', 'fish']) {
    const shell = findProgram(other);
    if (shell === undefined) t.comment(`${other} is not installed`);
    else execFileSync(shell, ['-n'], { input: completionScript(other, COMMANDS) });
  }
});

t.test('a reader that leaves is no failure of what only shows, and one of what changes', async (t) => {
  const cases: readonly (readonly [args: readonly string[], code: number, err: string | RegExp])[] = [
    [['options'], 0, ''],
    [['options', '--json'], 0, ''],
    [['--help'], 0, ''],
    [['init', '--help'], 0, ''],
    [['token', 'nonsense', '--json'], 2, /^error: /],
    [['token', '--access', 'r'], 1, /^error: standard output takes nothing \(EPIPE\): what the command has changed/],
  ];
  for (const [args, expected, text] of cases) {
    const child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, QDRANT__SERVICE__API_KEY: KEY, QDRANT__SERVICE__JWT_RBAC: 'true' },
    });
    child.stdout.destroy();
    let err = '';
    child.stderr.on('data', (part: Buffer) => {
      err += part.toString();
    });
    const [code] = await once(child, 'close');
    t.equal(code, expected, args.join(' '));
    t.match(err, text, args.join(' '));
    if (text === '') t.equal(err, '', args.join(' '));
    if (expected === 2) t.notMatch(err, 'EPIPE', args.join(' '));
  }
});

t.test('standard input that comes in pieces is read to its end', async (t) => {
  const child = spawn(process.execPath, [MAIN, 'token', 'inspect'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = ` Bearer ${part({ alg: 'HS256' })}.${part({ sub: 'ä' })}.eA\n`;
  let out = '';
  child.stdout.on('data', (piece: Buffer) => {
    out += piece.toString();
  });
  for (const letter of text) await new Promise((resolve) => child.stdin.write(letter, resolve));
  child.stdin.end();
  t.equal((await once(child, 'close'))[0], 0);
  t.match(out, 'claims: {"sub":"ä"}');
});

t.test('too much input and bytes that are no text are refused', async (t) => {
  const large = await runScript([`src/cli/main.ts`, 'token', 'inspect'], { input: 'x'.repeat(1_100_000) });
  t.match(large, { code: 2, err: 'error: standard input holds more than 1048576 bytes\n' });
});

t.test('a terminal is told that its input is awaited', async (t) => {
  const python = findProgram('python3');
  if (python === undefined || !existsSync('/dev/ptmx')) return t.comment('there is no terminal to try');
  const script = [
    'import os, pty, sys',
    'pid, end = pty.fork()',
    'if pid == 0: os.execv(sys.argv[1], sys.argv[1:])',
    'said, typed = b"", False',
    'while True:',
    '  try: piece = os.read(end, 4096)',
    '  except OSError: break',
    '  if not piece: break',
    '  said += piece',
    '  if not typed and b"Ctrl-D" in said: typed = os.write(end, b"a.b\\n\\x04") > 0',
    'sys.stdout.buffer.write(said)',
    'sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))',
  ].join('\n');
  const child = spawn(python, ['-c', script, process.execPath, MAIN, 'token', 'inspect'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  let said = '';
  child.stdout.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  t.equal((await once(child, 'close'))[0], 2);
  t.match(said, /^reading standard input: end it with Ctrl-D\r\n/);
  t.match(said, /error: a token has three parts, separated by dots\r\n$/);
});
