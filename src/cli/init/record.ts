import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, isAbsolute, join, sep } from 'node:path';
import { UsageError } from '../output.ts';
import { readEnvFile } from './compose-service.ts';
import { type EnvEdit, type Plan, type PlannedFile, WRITTEN } from './plan.ts';

/** The record of what `init` wrote, in the folder of the plan. It is written before the first file, so that a run that broke off can be undone. */
export const RECORD = '.qdrant-gateway-init.json';

interface Recorded {
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
  /** Folders that were made, the innermost first. */
  readonly folders: readonly string[];
  readonly env: { readonly name: string; readonly before: string | null; readonly after: string } | null;
}

/** The differences between a plan and its folder. */
export interface Changes {
  readonly added: readonly PlannedFile[];
  readonly changed: readonly { readonly file: PlannedFile; readonly before: string }[];
  readonly env: { readonly name: string; readonly before: string | undefined; readonly after: string } | undefined;
}

const NODE_USER = 1000;
const ENV_NAME = /^COMPOSE_FILE$/;
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

function textAt(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/**
 * Compares a plan with its folder. Throws `UsageError` if a file is in the way that `init` did not write, or that has been changed
 * since.
 */
export function changesOf(plan: Plan): Changes {
  const recorded = recordIn(plan.folder);
  const added: PlannedFile[] = [];
  const changed: { file: PlannedFile; before: string }[] = [];
  for (const file of plan.files) {
    confined(plan.folder, file.path);
    const before = textAt(join(plan.folder, file.path));
    if (before === undefined) added.push(file);
    else if (before !== file.text) {
      const own = recorded?.files.find(({ path }) => path === file.path);
      if (own?.sha256 !== hashOf(before)) {
        throw new UsageError(
          `\`${file.path}\` is there and not as \`init\` wrote it: move it away, or keep it and change it by hand`,
        );
      }
      changed.push({ file, before });
    }
  }
  return { added, changed, env: plan.env && envChange(plan.folder, plan.env) };
}

function envChange(folder: string, edit: EnvEdit): Changes['env'] {
  const before = readEnvFile(textAt(join(folder, '.env')) ?? '').get(edit.name);
  const after = edit.value(before);
  return after === before ? undefined : { name: edit.name, before, after };
}

/** True = the folder is as the plan wants it. */
export function isDone({ added, changed, env }: Changes): boolean {
  return added.length === 0 && changed.length === 0 && env === undefined;
}

/** Writes what is different. Every file is written whole and renamed into its place. */
export function apply(plan: Plan, changes: Changes): void {
  const recorded = recordIn(plan.folder);
  const folders = [...new Set([...(recorded?.folders ?? []), ...newFolders(plan)])];
  const env = changes.env
    ? {
        name: changes.env.name,
        before: recorded?.env ? recorded.env.before : (changes.env.before ?? null),
        after: changes.env.after,
      }
    : (recorded?.env ?? null);
  const files = plan.files.map(({ path, text }) => ({ path, sha256: hashOf(text) }));
  const gone = (recorded?.files ?? []).filter(({ path }) => !files.some((file) => file.path === path));
  write(plan.folder, RECORD, `${JSON.stringify({ files: [...files, ...gone], folders, env }, null, 2)}\n`, 0o600);
  const made = newFolders(plan);
  for (const file of [...changes.added, ...changes.changed.map(({ file }) => file)]) {
    mkdirSync(dirname(join(plan.folder, file.path)), { recursive: true });
    write(plan.folder, file.path, file.text, file.mode);
  }
  for (const path of made) giveAway(join(plan.folder, path));
  if (changes.env) writeEnv(plan.folder, changes.env.name, changes.env.after);
}

/** Gives a file or folder that root made to the user of the image: otherwise only a gateway that runs as root could read or write it. */
function giveAway(path: string): void {
  if (process.getuid?.() === 0) chownSync(path, NODE_USER, NODE_USER);
}

/** Folders that are missing, the innermost first. */
function newFolders({ folder, files }: Plan): readonly string[] {
  const all = new Set<string>();
  for (const { path } of files) {
    for (let up = dirname(path); up !== '.'; up = dirname(up)) if (!existsSync(join(folder, up))) all.add(up);
  }
  return [...all].sort((a, b) => b.length - a.length);
}

function write(folder: string, path: string, text: string, mode: number): void {
  const target = join(folder, path);
  const fresh = `${target}.new`;
  writeFileSync(fresh, text, { mode });
  chmodSync(fresh, mode);
  if (path !== RECORD) giveAway(fresh);
  renameSync(fresh, target);
}

function writeEnv(folder: string, name: string, value: string | null): void {
  const before = textAt(join(folder, '.env')) ?? '';
  const line = new RegExp(`^\\s*(?:export\\s+)?${name}\\s*=.*(?:\\n|$)`, 'm');
  const next = value === null ? '' : `${name}=${value}\n`;
  const start = before === '' || before.endsWith('\n') ? before : `${before}\n`;
  const after = line.test(before) ? before.replace(line, next) : start + next;
  if (after === '') rmSync(join(folder, '.env'), { force: true });
  else writeFileSync(join(folder, '.env'), after);
}

function recordIn(folder: string): Recorded | undefined {
  const text = textAt(join(folder, RECORD));
  if (text === undefined) return undefined;
  const recorded = readRecord(text);
  if (!recorded) throw new UsageError(`\`${RECORD}\` cannot be read: remove it, and what \`init\` wrote, by hand`);
  for (const path of [...recorded.files.map((file) => file.path), ...recorded.folders]) confined(folder, path);
  return recorded;
}

/** `undefined` = of another form. The record may come from elsewhere, with a repository. */
function readRecord(text: string): Recorded | undefined {
  try {
    const { files, folders, env } = Object(JSON.parse(text)) as Partial<Recorded>;
    const isText = (value: unknown): value is string => typeof value === 'string';
    if (!Array.isArray(files) || !files.every((file) => isText(Object(file).path) && isText(Object(file).sha256)))
      return undefined;
    if (!Array.isArray(folders) || !folders.every(isText)) return undefined;
    if (env && !(isText(env.name) && ENV_NAME.test(env.name) && isText(env.after))) return undefined;
    return { files, folders, env: env ?? null };
  } catch {
    return undefined;
  }
}

/** Throws `UsageError` for a path that leads out of the folder, also through a link. */
function confined(folder: string, path: string): void {
  const parts = path.split('/');
  const leads = isAbsolute(path) || parts.includes('..') || path.includes('\\');
  let above = dirname(join(folder, path));
  while (!existsSync(above)) above = dirname(above);
  const root = realpathSync(folder);
  const real = realpathSync(above);
  if (leads || (real !== root && !real.startsWith(`${root}${sep}`))) {
    throw new UsageError(`\`${path}\` leads out of \`${folder}\`: nothing is changed`);
  }
}

/** The outcome of `undo`. */
export interface Undone {
  readonly removed: readonly string[];
  /** Files that have been changed since. */
  readonly left: readonly string[];
  /** Files that keep a folder out of a repository, and stay because others than `init` have written there: a gateway its keys, for example. */
  readonly guarding: readonly string[];
  readonly env: string | undefined;
  /** Commands to run afterwards, in their order. */
  readonly next: readonly string[];
}

/** Without the second file the gateway's container is an orphan that holds the published ports: Qdrant could not start. */
const AFTER_COMPOSE = 'docker compose up -d --remove-orphans   # ends the gateway, which holds the ports until then';

/** Removes what `init` wrote in a folder and nothing else. Throws `UsageError` without a record. */
export function undo(folder: string): Undone {
  const recorded = recordIn(folder);
  if (!recorded) throw new UsageError(`there is nothing to undo: no \`${RECORD}\` in \`${folder}\``);
  const removed: string[] = [];
  const left: string[] = [];
  const guarding: string[] = [];
  const next = new Set<string>();
  // The guards of folders come last, when what `init` itself wrote there is gone.
  const files = recorded.files.toSorted((one, other) => Number(isGuard(one.path)) - Number(isGuard(other.path)));
  for (const { path, sha256 } of files) {
    const text = textAt(join(folder, path));
    if (text === undefined) continue;
    if (isGuard(path) && holdsMore(folder, path, recorded.folders)) guarding.push(path);
    else if (hashOf(text) === sha256) {
      rmSync(join(folder, path));
      removed.push(path);
      if (text.startsWith(WRITTEN) && /^services:$/m.test(text)) next.add(AFTER_COMPOSE);
    } else left.push(path);
  }
  const { env } = recorded;
  const isOurs = env && readEnvFile(textAt(join(folder, '.env')) ?? '').get(env.name) === env.after;
  if (env && isOurs) writeEnv(folder, env.name, env.before);
  for (const made of recorded.folders) removeEmpty(join(folder, made));
  rmSync(join(folder, RECORD));
  return { removed, left, guarding, env: isOurs ? env.name : undefined, next: [...next] };
}

const isGuard = (path: string): boolean => basename(path) === '.gitignore';

/** True = the folder of a guard holds something else, once the empty folders that were made below it are gone. */
function holdsMore(folder: string, path: string, made: readonly string[]): boolean {
  const own = dirname(path);
  for (const below of made) if (below.startsWith(`${own}/`)) removeEmpty(join(folder, below));
  return readdirSync(join(folder, own)).some((name) => name !== basename(path));
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Other files are in it, or it is gone.
  }
}
