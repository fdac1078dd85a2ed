import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pythonWithClient } from '../clients/python.ts';
import { findProgram } from '../process/programs.ts';
import { type Block, ROOT, statusesOf } from './blocks.ts';
import type { Scene } from './scenes.ts';

/*
 * The place in which the commands of a document run as they are written: a copy of the project in a folder of its own, a network of
 * its own with nothing but loopback, so that ports 6333 and 6334 are free, and folders of the system that only look changed. It
 * needs namespaces of Linux (`unshare`).
 */

/** Why there is no such place here; false = there is. */
export function noPlace(): string | false {
  return findProgram('unshare') === undefined || process.getuid?.() !== 0 ? 'unshare as root is needed' : false;
}

export interface Ran {
  readonly block: Block;
  readonly problems: readonly string[];
  readonly output: string;
}

/** Stands in for curl: it is curl, and notes the status of each answer. */
const CURL = `#!/bin/bash
said=$(mktemp)
CURL "$@" -w '%{stderr}@@%{http_code}\\n' 2>"$said"
code=$?
grep -o '@@[0-9]*' "$said" >>"$COMMANDS_FOLDER/statuses"
grep -v '@@' "$said" >&2
rm -f "$said"
exit $code
`;

/** Runs the blocks one by one in one shell: what a block sets, the next one has. */
const RUNNER = `set -o pipefail
listens() { (exec 3<>/dev/tcp/127.0.0.1/"$1") 2>/dev/null; }
await() { for _ in $(seq 300); do listens "$1" && return 0; sleep 0.1; done; echo "nothing listens on port $1"; return 1; }
ip link set lo up
for folder in /etc /usr/local /run; do
  mkdir -p "$COMMANDS_FOLDER/over$folder/up" "$COMMANDS_FOLDER/over$folder/work"
  mount -t overlay over -o "lowerdir=$folder,upperdir=$COMMANDS_FOLDER/over$folder/up,workdir=$COMMANDS_FOLDER/over$folder/work" $folder
done
cd "$COMMANDS_FOLDER/project"
. "$COMMANDS_FOLDER/before.sh"
set -E
trap 'echo "$? $LINENO \${BASH_SOURCE[0]}" >>"$COMMANDS_FOLDER/exits"' ERR
`;

function write(folder: string, name: string, text: string, mode = 0o644): void {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode });
  chmodSync(file, mode);
}

function programs(folder: string): void {
  const node = process.execPath;
  write(folder, 'bin/curl', CURL.replace('CURL', findProgram('curl') ?? 'curl'), 0o755);
  write(folder, 'bin/sudo', '#!/bin/sh\nexec "$@"\n', 0o755);
  write(folder, 'bin/qdrant-gateway', `#!/bin/sh\nexec ${node} ${join(ROOT, 'src/cli/main.ts')} "$@"\n`, 0o755);
  const python = pythonWithClient();
  if (python !== undefined) write(folder, 'bin/python3', `#!/bin/sh\nexec ${python} "$@"\n`, 0o755);
  symlinkSync(node, join(folder, 'bin/node'));
}

const LEFT_OUT = ['node_modules', '.runtime', '.git', 'dist', '.tap', 'coverage', 'secrets', 'tls', 'storage'];

function project(folder: string): void {
  const target = join(folder, 'project');
  cpSync(ROOT, target, {
    recursive: true,
    filter: (path) => !LEFT_OUT.some((name) => path === join(ROOT, name)) && path !== join(ROOT, 'certs/dev'),
  });
  for (const name of ['node_modules', '.runtime']) symlinkSync(join(ROOT, name), join(target, name));
}

/** Runs the blocks of a document that are not marked as `lint`. */
export async function runBlocks(blocks: readonly Block[], scene: Scene): Promise<readonly Ran[]> {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-commands-'));
  try {
    project(folder);
    programs(folder);
    for (const [name, text] of Object.entries(scene.files ?? {})) write(join(folder, 'project'), name, text, 0o600);
    write(folder, 'before.sh', `${scene.before ?? ''}\n`);
    // Within a file system that overlays can be stacked on.
    const mounted = `mount -t tmpfs over "$COMMANDS_FOLDER/over" && bash "$COMMANDS_FOLDER/run.sh"`;
    mkdirSync(join(folder, 'over'));
    mkdirSync(join(folder, 'home'));
    write(folder, 'run.sh', RUNNER + blocks.map((block, at) => piece(folder, block, at)).join(''));
    const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child'];
    const child = spawn('unshare', [...flags, 'bash', '-c', mounted], {
      env: {
        PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
        HOME: join(folder, 'home'),
        COMMANDS_FOLDER: folder,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PLACE_LIMIT_MS,
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await once(child, 'close');
    return blocks.map((block, at) => judged(folder, block, at, said));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const PLACE_LIMIT_MS = 300_000;

function piece(folder: string, block: Block, at: number): string {
  write(folder, `block-${at}.sh`, block.script);
  const file = `"$COMMANDS_FOLDER/block-${at}.sh"`;
  const into = `"$COMMANDS_FOLDER/output-${at}"`;
  const marks = `: >"$COMMANDS_FOLDER/statuses"; : >"$COMMANDS_FOLDER/exits"\n`;
  const kept = `for of in statuses exits; do cp "$COMMANDS_FOLDER/$of" "$COMMANDS_FOLDER/$of-${at}"; done\n`;
  if (block.mark === 'background')
    return `${marks}(. ${file}) >${into} 2>&1 &\nawait 6333 >>${into} && await 6334 >>${into}\n${kept}`;
  return `${marks}. ${file} >${into} 2>&1\n${kept}`;
}

function lines(folder: string, name: string): readonly string[] | undefined {
  try {
    return readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean);
  } catch {
    return undefined;
  }
}

/** What a block's run says against it. */
function judged(folder: string, block: Block, at: number, said: string): Ran {
  const output = lines(folder, `output-${at}`)?.join('\n') ?? '';
  const exits = lines(folder, `exits-${at}`);
  const statuses = lines(folder, `statuses-${at}`);
  if (exits === undefined || statuses === undefined)
    return { block, output, problems: [`was not run: ${said.trim().slice(-500)}`] };
  const source = block.script.split('\n');
  const failed = exits
    .filter((line) => line.endsWith(`block-${at}.sh`))
    .map((line) => line.split(' ').map(Number))
    .filter(([code, line = 0]) => !allowed(source, line).includes(code ?? 0))
    .map(([code, line]) => `line ${line} ended with ${code}: ${source[(line ?? 1) - 1]}`);
  const wanted = statusesOf(block.script);
  const got = statuses.map((line) => Number(line.slice(2)));
  const wrong = wanted.flatMap((want, nth) => {
    const status = got[nth];
    const right = want === 'none' ? status === 0 : want === undefined ? (status ?? 999) < 400 : status === want;
    return right ? [] : [`curl ${nth + 1} got ${status}, not ${want ?? 'a success'}`];
  });
  return { block, output, problems: [...failed, ...wrong] };
}

/** Exit codes that the text of a line, or of those that it goes on, names. */
function allowed(source: readonly string[], line: number): readonly number[] {
  const rest = source.slice(line - 1);
  const end = rest.findIndex((one) => !one.endsWith('\\') && !one.endsWith('|'));
  const text = rest.slice(0, end + 1).join(' ');
  const named = /# (?:.*\b)?exit (\d+)\b/.exec(text)?.[1];
  return [...(named === undefined ? [] : [Number(named)]), ...(/# no connection$/.test(text) ? [7, 28] : [])];
}
