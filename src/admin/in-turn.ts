import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that may wait behind one that is open. */
const MOST_WAITING = 16;

/** The requests of one connection that are not answered yet. */
interface Line {
  last: Promise<void>;
  length: number;
}

const lines = new WeakMap<Socket, Line>();

/**
 * Resolves when the answers to earlier requests of the connection have been sent: a client that sends requests one behind the other has
 * one of them carried out at a time. A connection with too many is ended. False = it has ended.
 */
export async function inTurn(socket: Socket, response: ServerResponse): Promise<boolean> {
  const line = lines.get(socket) ?? { last: Promise.resolve(), length: 0 };
  lines.set(socket, line);
  line.length += 1;
  if (line.length > 1 + MOST_WAITING) socket.destroy();
  if (socket.destroyed) return false;
  const before = line.last;
  line.last = new Promise((resolve) => {
    response.once('close', () => {
      line.length -= 1;
      resolve();
    });
  });
  await before;
  return !socket.destroyed;
}
