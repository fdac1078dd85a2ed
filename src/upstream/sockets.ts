import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Guard } from '../lifetime/guard.ts';

/** Where an upstream listens. `host` is a name or an address without brackets. */
export interface SocketAddress {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
}

export interface SocketOptions {
  /** Milliseconds to connect, TLS handshake included. */
  readonly connectTimeoutMs: number;
  /** CA to trust for a TLS upstream, PEM; `undefined` = the CAs of the runtime. */
  readonly ca: Buffer | undefined;
  /** ALPN protocols offered to a TLS upstream. */
  readonly alpn: readonly string[];
}

/** What happens to a socket that is opened; `opened` or `failed` is called exactly once, then `failed` never again. */
export interface SocketEvents {
  /** Of the connection it is opened for. */
  readonly guard: Guard;
  readonly opened: (socket: Socket) => void;
  readonly failed: (reason: 'unreachable' | 'timeout', error: Error) => void;
}

/**
 * Opens a connection to the upstream for one client connection. The certificate of a TLS upstream is always verified.
 * The caller owns the socket from `opened` on; before that, destroying the returned socket gives up silently.
 */
export function openSocket(address: SocketAddress, options: SocketOptions, events: SocketEvents): Socket {
  const { host, port } = address;
  const socket = address.tls
    ? connectTls({
        host,
        port,
        ALPNProtocols: [...options.alpn],
        ...(options.ca ? { ca: options.ca } : {}),
        ...(isIP(host) ? {} : { servername: host }),
      })
    : connectTcp({ host, port });
  const { guard } = events;
  const onTimeout = guard.entry(() => void socket.destroy(new Error('connect timeout')));
  const onError = guard.entry((error: Error) => {
    socket.off('timeout', onTimeout);
    events.failed(error.message === 'connect timeout' ? 'timeout' : 'unreachable', error);
  });
  const onOpen = guard.entry(() => {
    socket.off('error', onError);
    socket.off('timeout', onTimeout);
    socket.setTimeout(0);
    events.opened(socket);
  });
  socket.setTimeout(options.connectTimeoutMs);
  socket.once('timeout', onTimeout);
  socket.setNoDelay(true);
  socket.once('error', onError);
  socket.once(address.tls ? 'secureConnect' : 'connect', onOpen);
  // Whoever takes it has listeners of its own; one that was given up has none.
  socket.on('error', ignore);
  return socket;
}

function ignore(): void {}
