/*
 * Read by any Node that is installed: nothing here, and nothing that is imported here, may be newer than Node 18.
 */

/** The releases the gateway runs on, as `engines` of the package says; older ones have known holes in their parsers. */
export const NEEDED_NODE = '24.18.1 or a later 24, or 26.5.1 or later';

const FLOORS: Readonly<Record<string, readonly number[]>> = { 24: [24, 18, 1], 26: [26, 5, 1] };

/** Whether the gateway runs on a Node release (`v26.5.1`). */
export function runsOn(version: string): boolean {
  const [numbers = ''] = version.replace(/^v/, '').split('-');
  const parts = numbers.split('.').map(Number);
  const floor = (parts[0] === 24 ? FLOORS[24] : FLOORS[26]) ?? [];
  const at = parts.findIndex((part, index) => part !== floor[index]);
  return at === -1 || (parts[at] ?? 0) > (floor[at] ?? 0);
}
