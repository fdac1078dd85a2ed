import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type FaultReport, Guard } from '../lifetime/guard.ts';
import { BoundedHandshakes, type HandshakeBounds } from './bounded-handshake.ts';
import { carrierOf } from './client-address.ts';

/**
 * Counts the bytes of every connection of a `tls.Server` below TLS (`BoundedHandshakes`): for a port with few requests, where what that
 * costs does not matter. To be called before other listeners are added.
 */
export function countAll(server: EventEmitter, bounds: HandshakeBounds, report: FaultReport): void {
  const native = server.listeners('connection');
  server.removeAllListeners('connection');
  const counted = new EventEmitter();
  for (const listener of native) counted.on('connection', (one: object) => void Reflect.apply(listener, server, [one]));
  const handshakes = new BoundedHandshakes(counted, bounds);
  server.on('connection', (socket: Socket) => {
    const cut = (): void => void socket.destroy();
    socket.on('error', cut);
    handshakes.begin(socket, new Guard({ fail: cut, cut }, 'rest_server', report));
  });
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    handshakes.done(socket);
    // Node knows no address above a stream.
    const { remoteAddress, remotePort } = carrierOf(socket) as Socket;
    Object.defineProperties(socket, { remoteAddress: { value: remoteAddress }, remotePort: { value: remotePort } });
  });
}
