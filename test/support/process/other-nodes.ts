import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runsOn } from '../../../src/cli/runtime.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** A Node on this machine. */
export interface OtherNode {
  readonly path: string;
  /** For example `v24.22.3`. */
  readonly version: string;
  /** True = the gateway runs on it. */
  readonly supported: boolean;
}

/** The Nodes of the path and those that `.ci/programs` installs, one for each release; not the one of this process. */
export function otherNodes(): readonly OtherNode[] {
  const installed = [18, 20, 22, 24].map((major) => join(ROOT, `.runtime/nodes/node_modules/node${major}/bin`));
  const places = [...installed, '/usr/local/bin', '/usr/bin', ...(process.env.PATH ?? '').split(delimiter)];
  const found = new Map<string, string>();
  for (const path of places.map((place) => join(place, 'node'))) {
    const version = existsSync(path) ? versionOf(path) : '';
    if (version !== '' && version !== process.version && !found.has(version)) found.set(version, path);
  }
  return [...found].map(([version, path]) => ({ path, version, supported: runsOn(version) }));
}

function versionOf(node: string): string {
  try {
    return execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
}
