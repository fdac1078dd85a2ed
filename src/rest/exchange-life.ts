import type { Socket } from 'node:net';
import { type FaultReport, Guard } from '../lifetime/guard.ts';
import { Lifetime } from '../lifetime/lifetime.ts';
import type { ClientRequest, ClientResponse, ClientStream } from './message.ts';

/** Of HTTP/1, by socket: an answer that still waits behind others is never told that its connection is gone. */
const connections = new WeakMap<object, Lifetime>();

/** Whose end is waited for. */
interface Tied {
  readonly life: Lifetime;
  readonly guard: Guard;
  readonly request: ClientRequest;
  readonly response: ClientResponse;
  readonly stream: ClientStream | undefined;
}

/** Ends the life of an exchange when its answer is complete or the client has left; at once, when that has already been. */
export function tieToClient({ life, guard, request, response, stream }: Tied, report: FaultReport): void {
  const end = guard.entry(() => life.end());
  response.once('close', end);
  if (response.destroyed) end();
  else if (!stream) life.onEnd(connectionLife(request.socket, report).onEnd(end));
}

/** The life of what comes over HTTP/1 on one socket. */
export function connectionLife(socket: Socket, report: FaultReport): Lifetime {
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
