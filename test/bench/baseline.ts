import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Spread } from './statistics.ts';

/** The folder of the project. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const FILE = join(import.meta.dirname, 'baseline.json');
const BUILT_FROM = ['src', 'package-lock.json'];

/** The build that others are compared with, and what it itself came to when it was recorded. */
export type Baseline = {
  readonly commit: string;
  readonly date: string;
  readonly machine: string;
  readonly counter: string;
  /** The baseline before it; null for the first, which was compared with itself. */
  readonly against: string | null;
  readonly ratios: Readonly<Record<string, Spread>>;
};

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    .toString()
    .trim();
}

/** The recorded baseline, or null. */
export function readBaseline(): Baseline | null {
  return existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : null;
}

/** Records a baseline. */
export function writeBaseline(baseline: Baseline): void {
  writeFileSync(FILE, `${JSON.stringify(baseline, null, 2)}\n`);
}

/**
 * The commit that last changed what the gateway is built from: the same build as the tree, and still there when later
 * commits are rewritten. Throws when the tree holds changes of it that are not committed.
 */
export function commitOfTree(): string {
  const changed = git('status', '--porcelain', '--', ...BUILT_FROM);
  if (changed !== '') throw new Error('the tree holds changes that are not committed: a baseline is a commit');
  return git('log', '-1', '--format=%H', '--', ...BUILT_FROM);
}

/** Lays a commit out in an empty folder, with the dependencies of this tree. Throws when the clone does not hold it. */
export function layOut(commit: string, folder: string): void {
  try {
    git('cat-file', '-e', `${commit}^{commit}`);
  } catch {
    throw new Error(`commit \`${commit}\` of the baseline is not in this clone: fetch it, or record another baseline`);
  }
  mkdirSync(folder);
  const archive = execFileSync('git', ['archive', '--format=tar', commit], { cwd: ROOT, maxBuffer: 1 << 29 });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}
