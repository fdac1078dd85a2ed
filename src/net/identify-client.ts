import type { Socket } from 'node:net';
import type { Guard } from '../lifetime/guard.ts';
import { remoteOf } from '../limits/peer-address.ts';
import { UNIX_PEER } from './addresses.ts';
import { noteClient } from './client-address.ts';
import type { ClientFault } from './connections.ts';
import { type ProxyHeader, readProxyHeader } from './proxy-header.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

/** The proxies in front of a listener. */
export interface ProxiesInFront {
  readonly trusted: TrustedProxies;
  /** `gateway.proxy_protocol`. */
  readonly protocol: 'off' | 'accept' | 'require';
}

export interface IdentifyOptions {
  /** `undefined` = no proxy is trusted. */
  readonly proxies: ProxiesInFront | undefined;
  /** The listener is a unix socket: its peers have no addresses. */
  readonly unix: boolean;
  /** Milliseconds a client has for its PROXY header. */
  readonly timeoutMs: number;
  readonly faulted: ((fault: ClientFault, remote: string) => void) | undefined;
  /** Of the connection. */
  readonly guard: Guard;
}

/**
 * Finds the client of a new connection of which nothing has been read, then calls `next`. A PROXY header is read from trusted
 * proxies only, before TLS, and never beyond its last byte. A header of any other peer stays unread: it fails as what it is
 * not, HTTP or TLS.
 */
export function identifyClient(socket: Socket, options: IdentifyOptions, next: () => void): void {
  const { proxies, unix, faulted } = options;
  if (!proxies && !unix) {
    next();
    return;
  }
  const peer = unix ? UNIX_PEER : remoteOf(socket);
  const note = (address: string): void => {
    noteClient(socket, { address, proxies: proxies?.trusted.has(address) ? proxies.trusted : undefined });
    next();
  };
  if (!proxies || proxies.protocol === 'off') {
    note(peer);
    return;
  }
  const isTrusted = proxies.trusted.has(peer);
  readHeader(socket, options, { peer, isTrusted }, (header, bytes) => {
    const isWanting = header === 'malformed' || (header === 'absent' && proxies.protocol === 'require');
    if (isTrusted && isWanting) {
      faulted?.('proxy_header', peer);
      socket.destroy();
      return;
    }
    if (!isTrusted && header !== 'absent') faulted?.('proxy_untrusted', peer);
    const read = isTrusted && typeof header !== 'string' ? header : undefined;
    const rest = bytes.subarray(read?.length ?? 0);
    if (rest.length > 0) socket.unshift(rest);
    // In a turn of its own: until then Node takes the socket for one that is read by its `readable` event.
    options.guard.soon(() => {
      if (socket.readableEnded) socket.destroy();
      if (!socket.destroyed) note(read?.source ?? peer);
    });
  });
}

type Found = (header: Exclude<ProxyHeader, 'partial'>, bytes: Buffer) => void;

/** Reads until it is clear what the connection begins with. */
function readHeader(
  socket: Socket,
  { timeoutMs, faulted, guard }: IdentifyOptions,
  { peer, isTrusted }: { readonly peer: string; readonly isTrusted: boolean },
  found: Found,
): void {
  let bytes = Buffer.alloc(0);
  const stop = guard.entry((): void => {
    clearTimeout(timer);
    socket.off('readable', look).off('end', left).off('close', stop);
  });
  const look = guard.entry(() => {
    const chunk: unknown = socket.read();
    if (!(chunk instanceof Buffer)) return;
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const header = readProxyHeader(bytes);
    if (header === 'partial') return;
    stop();
    found(header, bytes);
  });
  const left = guard.entry(() => {
    stop();
    // Of any other peer it was not necessarily going to be one.
    if (bytes.length > 0 && isTrusted) faulted?.('proxy_header', peer);
    socket.destroy();
  });
  const timer = guard.after(timeoutMs, () => {
    stop();
    faulted?.('timeout', peer);
    socket.destroy();
  });
  timer.unref();
  socket.on(
    'error',
    guard.entry(() => void socket.destroy()),
  );
  socket.on('readable', look).on('end', left).on('close', stop);
}
