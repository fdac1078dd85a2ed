/**
 * What runs a command on one processor at the lowest priority: it takes from those who are measured there only what they
 * leave.
 */
export function inBackground(core: number): readonly string[] {
  return ['nice', '-n', '19', 'taskset', '-c', String(core)];
}
