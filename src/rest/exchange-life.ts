import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FaultReport, Guard } from '../lifetime/guard.ts';
import { Lifetime } from '../lifetime/lifetime.ts';

/** Of HTTP/1, by socket: an answer that still waits behind others is never told that its connection is gone. */
const connections = new WeakMap<object, Lifetime>();

/** Whose end is waited for. */
interface Tied {
  readonly life: Lifetime;
  readonly guard: Guard;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Ends the life of an exchange when its answer is complete or the client has left; at once, when that has already been. */
export function tieToClient({ life, guard, request, response }: Tied, report: FaultReport): void {
  const end = guard.entry(() => life.end());
  response.once('close', end);
  if (request.httpVersionMajor === 2) {
    if (hasEnded(request)) end();
    return;
  }
  if (response.destroyed) end();
  else life.onEnd(connectionLife(request.socket, report).onEnd(end));
}

/** The life of what comes over HTTP/1 on one socket. */
export function connectionLife(socket: IncomingMessage['socket'], report: FaultReport): Lifetime {
  const known = connections.get(socket);
  if (known) return known;
  const life = new Lifetime((error) => report(error, 'clean_up'));
  connections.set(socket, life);
  const cut = (): void => void socket.destroy();
  const guard = new Guard({ fail: cut, cut }, 'rest_server', report);
  const end = guard.entry(() => life.end());
  if (socket.destroyed) end();
  else socket.once('close', end);
  return life;
}

/** HTTP/2: its stream is closed. The compatibility API tells of that only once. */
function hasEnded(request: object): boolean {
  if (!('stream' in request)) return true;
  const { stream } = request;
  if (typeof stream !== 'object' || stream === null) return true;
  return ('destroyed' in stream && stream.destroyed === true) || ('closed' in stream && stream.closed === true);
}
