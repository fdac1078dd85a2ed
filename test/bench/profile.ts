import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { alignTable } from './table.ts';

/*
 * Where the time of a gateway goes: functions of a V8 profile by self time.
 *
 *   node test/bench/profile.ts <file.cpuprofile> [how many]
 */

type Node = {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
};

type Profile = { readonly nodes: Node[]; readonly samples: number[]; readonly timeDeltas: number[] };

const ROOT = new URL('../..', import.meta.url).pathname;

function nameOf({ callFrame: { functionName, url, lineNumber } }: Node): string {
  const file = url.startsWith('file://') ? relative(ROOT, url.slice('file://'.length)) : url;
  return `${functionName || '(anonymous)'}${file === '' ? '' : `  ${file}:${lineNumber + 1}`}`;
}

/** Microseconds by function, waiting left out, the largest first. */
export function selfTimes(profile: Profile): [name: string, microseconds: number][] {
  const names = new Map(profile.nodes.map((node) => [node.id, nameOf(node)]));
  const times = new Map<string, number>();
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? '';
    if (name !== '(idle)') times.set(name, (times.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0));
  }
  return [...times].sort(([, a], [, b]) => b - a);
}

if (import.meta.main) {
  const [file = '', count = '10'] = process.argv.slice(2);
  const times = selfTimes(JSON.parse(readFileSync(file, 'utf8')));
  const total = times.reduce((sum, [, time]) => sum + time, 0);
  const rows = times.slice(0, Number(count)).map(([name, time]) => [name, `${((time / total) * 100).toFixed(1)} %`]);
  process.stdout.write(`${alignTable([['function', 'self time'], ...rows])}\n`);
}
