/*
 * Runs on any installed Node: neither this file nor its imports may use syntax or APIs newer than Node 18.
 */

/** Supported releases of Node, as in `engines` of the package. Older ones have known parser vulnerabilities. */
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
