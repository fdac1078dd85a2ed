import type { Server, Socket } from 'node:net';
import { type TLSSocket, Server as TlsServer } from 'node:tls';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { carrierOf } from '../client-address.ts';
import { type ReadingBounds, readingTls } from './reading.ts';

/**
 * Reads every connection of a TLS server with a port of its own in the way of `readingTls`. To be called before it listens. Throws
 * where the server has no TLS.
 */
export function readAllTls(server: Server, bounds: ReadingBounds, report: FaultReport): void {
  if (!(server instanceof TlsServer)) throw new TypeError('the server has no TLS');
  const own = new Guard({ fail: ignore, cut: ignore }, 'rest_server', report);
  const begin = readingTls(server, bounds);
  server.removeAllListeners('connection');
  server.on(
    'connection',
    own.entry((socket: Socket) => {
      const cut = (): void => void socket.destroy();
      const guard = new Guard({ fail: cut, cut }, 'rest_server', report);
      socket.on('error', guard.entry(cut));
      guard.run(() => begin(socket, guard));
    }),
  );
  server.prependListener(
    'secureConnection',
    own.entry((socket: TLSSocket) => {
      // Node knows no address above a stream.
      const { remoteAddress, remotePort } = carrierOf(socket) as Socket;
      Object.defineProperties(socket, { remoteAddress: { value: remoteAddress }, remotePort: { value: remotePort } });
    }),
  );
}

function ignore(): void {}
