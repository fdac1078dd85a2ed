import { X509Certificate } from 'node:crypto';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { Guard } from '../lifetime/guard.ts';

/**
 * Address of an upstream: `host` is a name or an address without brackets; `path` is that of a unix socket. `serverName`: the
 * name that the certificate has to be for, where `host` is not it.
 */
export type SocketAddress =
  | { readonly tls: boolean; readonly host: string; readonly port: number; readonly serverName?: string }
  | { readonly tls: false; readonly path: string };

/** Certificate and key, PEM, for an upstream that asks its clients for them. */
export interface ClientIdentity {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface SocketOptions {
  /** Milliseconds to connect, TLS handshake included. */
  readonly connectTimeoutMs: number;
  /** CA to trust for a TLS upstream, PEM; `undefined` = the CAs of the runtime. */
  readonly ca: Buffer | undefined;
  /** Shown to a TLS upstream that asks for it. Default: none. */
  readonly identity?: ClientIdentity | undefined;
  /** ALPN protocols offered to a TLS upstream. */
  readonly alpn: readonly string[];
}

/** Events of a socket. `opened` or `failed` is called exactly once, then `failed` never again. */
export interface SocketEvents {
  /** The guard of the client connection. */
  readonly guard: Guard;
  readonly opened: (socket: Socket) => void;
  readonly failed: (reason: 'unreachable' | 'timeout', error: Error) => void;
}

/**
 * Opens a connection to the upstream for one client connection. The certificate of a TLS upstream is always verified.
 * The caller owns the socket from `opened` on; destroying the returned socket before that aborts without an event.
 */
export function openSocket(address: SocketAddress, options: SocketOptions, events: SocketEvents): Socket {
  const socket = connectTo(address, options);
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
  // The owner adds listeners of its own; an abandoned socket has none.
  socket.on('error', ignore);
  return socket;
}

/** Longest time to connect to a port of this gateway, in milliseconds. */
const OWN_PORT_MS = 5000;

/**
 * Opens a connection to a port of this gateway itself, which is trusted by the certificate that it was given, whatever name and CA
 * that has. Rejects if another one is shown.
 *
 * @param certificate PEM, the leaf first; `undefined` = no TLS
 */
export function openOwnPort(
  address: { readonly host: string; readonly port: number } | { readonly path: string },
  certificate: Buffer | undefined,
): Promise<Socket> {
  const socket = certificate
    ? connectTls({ ...address, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'], servername: 'localhost' })
    : connectTcp(address);
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const fail = (error: unknown): void => {
    socket.destroy();
    reject(error);
  };
  // The promise tells of an exception.
  const guard = new Guard({ fail, cut: () => void socket.destroy() }, 'rest_upstream', ignore);
  socket.setTimeout(
    OWN_PORT_MS,
    guard.entry(() => void socket.destroy(new Error('connect timeout'))),
  );
  socket.once('error', guard.entry(fail));
  socket.once(
    certificate ? 'secureConnect' : 'connect',
    guard.entry(() => {
      const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined;
      if (certificate && !(shown && new X509Certificate(certificate).raw.equals(shown))) {
        socket.destroy(new Error('another certificate than the gateway has'));
        return;
      }
      socket.setTimeout(0);
      resolve(socket);
    }),
  );
  return promise;
}

function connectTo(address: SocketAddress, { alpn, ca, identity }: SocketOptions): Socket {
  if ('path' in address) return connectTcp({ path: address.path });
  const { host, port, serverName = host } = address;
  if (!address.tls) return connectTcp({ host, port });
  const named = isIP(serverName) ? {} : { servername: serverName };
  return connectTls({ host, port, ALPNProtocols: [...alpn], ...(ca ? { ca } : {}), ...identity, ...named });
}

function ignore(): void {}
