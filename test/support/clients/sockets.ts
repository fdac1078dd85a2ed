import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { unhurried } from '../patience.ts';
import { type Again, againOptions, keepSession } from './tls-again.ts';

/** A plain TCP connection to loopback, open. */
export async function openPlain(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

/** What is known of earlier connections is used where no more is asked of TLS than an authority and a protocol. */
function againOf(port: number, { ca, ALPNProtocols = [], socket: _, ...others }: ConnectionOptions): Again | undefined {
  if (!Buffer.isBuffer(ca) || !Array.isArray(ALPNProtocols) || Object.keys(others).length > 0) return undefined;
  return { port, ca, ALPNProtocols: ALPNProtocols.map(String) };
}

/** A TLS connection to loopback, its handshake done; rejects when it fails. */
export async function openTls(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const again = againOf(port, options);
  const socket = connectTls({
    ...{ port, host: '127.0.0.1', servername: 'localhost' },
    ...options,
    ...(again && { ca: undefined, ...againOptions(again) }),
  });
  if (again) keepSession(socket, again);
  await once(socket, 'secureConnect').catch((error: unknown) => {
    // Later errors of a failed connection are ignored.
    socket.on('error', () => undefined).destroy();
    throw error;
  });
  return socket;
}

/** A TLS connection, and what resets it: its client leaves at once, without a word. */
export async function openResettable(
  port: number,
  options: ConnectionOptions,
): Promise<{ readonly socket: TLSSocket; readonly reset: () => void }> {
  const below = await openPlain(port);
  below.on('error', () => undefined);
  const socket = await openTls(port, { ...options, socket: below });
  return { socket, reset: () => below.resetAndDestroy() };
}

/** Sends bytes and reads until the other side closes, at most `withinMs`; says which of the two it was. */
export async function talk(
  socket: Socket,
  bytes: Uint8Array | string,
  withinMs = unhurried(5000),
): Promise<{ readonly received: Buffer; readonly closed: boolean }> {
  const chunks: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), withinMs);
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  socket.once('close', () => resolve(true));
  socket.write(bytes);
  const closed = await promise;
  clearTimeout(timer);
  socket.destroy();
  return { received: Buffer.concat(chunks), closed };
}

/** An HTTP/2 session to a TLS port, ALPN agreed; close it. */
export async function openHttp2(port: number, ca: Buffer): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://localhost:${port}`, { ca });
  await once(session, 'connect');
  return session;
}
