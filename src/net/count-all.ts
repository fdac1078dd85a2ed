import type { EventEmitter } from 'node:events';
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
  const own = new Guard({ fail: ignore, cut: ignore }, 'rest_server', report);
  const native = server.listeners('connection');
  server.removeAllListeners('connection');
  const handshakes = new BoundedHandshakes(
    {
      emit: (_event: string | symbol, one: unknown) => {
        for (const listener of native) Reflect.apply(listener, server, [one]);
        return true;
      },
    },
    bounds,
  );
  server.on(
    'connection',
    own.entry((socket: Socket) => {
      const cut = (): void => void socket.destroy();
      const guard = new Guard({ fail: cut, cut }, 'rest_server', report);
      socket.on('error', guard.entry(cut));
      guard.run(() => handshakes.begin(socket, guard));
    }),
  );
  server.prependListener(
    'secureConnection',
    own.entry((socket: TLSSocket) => {
      handshakes.done(socket);
      // Node knows no address above a stream.
      const { remoteAddress, remotePort } = carrierOf(socket) as Socket;
      Object.defineProperties(socket, { remoteAddress: { value: remoteAddress }, remotePort: { value: remotePort } });
    }),
  );
}

function ignore(): void {}
