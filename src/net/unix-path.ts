import { lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { Guard } from '../lifetime/guard.ts';

/** A path that cannot become the socket of a listener. */
export type PathFault = 'in use' | 'not a socket';

/**
 * Makes way for a listener: a socket without a listener, as a killed process leaves it, is removed. Anything else at the path
 * stays and is a fault. To be called by one process, before it listens. Rejects with the error of the file system.
 */
export async function clearPath(path: string): Promise<PathFault | undefined> {
  const kind = kindAt(path);
  if (kind === 'nothing') return undefined;
  if (kind === 'other') return 'not a socket';
  if (await isHeard(path)) return 'in use';
  unlinkSync(path);
  return undefined;
}

/** The kind of file at a path; links are not followed. */
export function kindAt(path: string): 'nothing' | 'socket' | 'other' {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return 'nothing';
  return found.isSocket() ? 'socket' : 'other';
}

/** Only a refused connection tells that there is no listener: one that is busy or not permitted is not touched. */
function isHeard(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    // An exception here rejects the promise; the caller reports it.
    const guard = new Guard({ fail: reject, cut: ignore }, 'rest_listener', ignore);
    const socket = connect({ path });
    const heard = guard.entry(() => {
      socket.destroy();
      resolve(true);
    });
    const failed = guard.entry((error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
    socket.once('connect', heard).once('error', failed);
  });
}

function ignore(): void {}
