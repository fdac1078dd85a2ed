import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { findProgram, runProgram } from './programs.ts';

/** The user it runs as: `nobody`. */
export const UID = 65534;

const PRIVILEGES = [
  `--reuid=${UID}`,
  `--regid=${UID}`,
  '--clear-groups',
  '--no-new-privs',
  '--bounding-set=-all',
  '--inh-caps=-all',
];

/** Every mount of the namespace becomes read-only, the last one first; then the command follows. */
const SCRIPT = `
set -eu
while read -r _ _ _ _ point _; do printf '%b\\n' "$point"; done </proc/self/mountinfo | tac | while read -r point; do
  mount -o remount,bind,ro "$point"
done
exec "$@"
`;

/**
 * Command and arguments that run another one as nobody, without any capability, on a file system that is read-only as a
 * whole: root, `/tmp`, `/dev/shm`, whatever else is mounted. Nothing is mounted above to be written to.
 */
export function confined(command: readonly string[]): readonly string[] {
  const unshare = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', SCRIPT, 'sh'];
  return [...unshare, 'setpriv', ...PRIVILEGES, ...command];
}

/** Why that cannot be done here; `false` = it can. */
export async function notConfinable(): Promise<string | false> {
  const missing = ['unshare', 'setpriv', 'nsenter', 'mount'].filter((name) => findProgram(name) === undefined);
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  const { code, err } = await runProgram('unshare', ['--mount', '--propagation', 'private', 'true']);
  return code === 0 ? false : `a mount namespace is not permitted here: ${err.trim()}`;
}

/** A process and all that it has started. */
export function familyOf(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(familyOf)];
}

/** Mount points that a process sees, each with whether it may be written to. */
export function mountsOf(pid: number): ReadonlyMap<string, 'ro' | 'rw'> {
  const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trimEnd().split('\n');
  // Of two on the same point the later one covers the other.
  return new Map(
    lines.map((line) => {
      const [, , , , point = '', options = ''] = line.split(' ');
      return [point, options.split(',').includes('ro') ? 'ro' : 'rw'];
    }),
  );
}

/** Paths that a process holds open to write to. */
export function openToWrite(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      const path = readlinkSync(`${folder}/${fd}`);
      return path.startsWith('/') && (lstatSync(`${folder}/${fd}`).mode & 0o200) !== 0 ? [path] : [];
    } catch {
      // It was closed while it was looked at.
      return [];
    }
  });
}

/**
 * Tries to make files where a process lives.
 *
 * @param as `root`, with all its capabilities: what stops it is the mount alone; or `nobody`, like the process
 * @returns what the system said to each path; empty = it was written
 */
export async function tryWrites(
  pid: number,
  paths: readonly string[],
  as: 'root' | 'nobody',
): Promise<ReadonlyMap<string, string>> {
  const inside = ['--target', String(pid), '--mount', ...(as === 'root' ? [] : ['setpriv', ...PRIVILEGES])];
  const script = 'for path; do (: >"$path") 2>&1 && echo; done';
  const { out } = await runProgram('nsenter', [...inside, 'sh', '-c', script, 'sh', ...paths]);
  const said = out.split('\n');
  return new Map(paths.map((path, at) => [path, said[at] ?? 'nothing was said']));
}
