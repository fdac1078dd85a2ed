import type { Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { Cost, type Turns } from './fairness/turns.ts';

const FIRST_TLS_BYTE = 0x16;
const TEXT = 'client sent an HTTP request to an HTTPS port';
const ANSWER = [
  'HTTP/1.1 400 Bad Request',
  'content-type: text/plain; charset=utf-8',
  `content-length: ${TEXT.length}`,
  'connection: close',
  '',
  TEXT,
].join('\r\n');

export interface SniffOptions {
  /** Milliseconds a client has for its first byte. */
  readonly timeoutMs: number;
  /** Handshakes take turns with everything else. */
  readonly turns: Turns;
  /** Told of who speaks no TLS, and of who says nothing in time. */
  readonly faulted: ((fault: 'not_tls' | 'timeout') => void) | undefined;
}

/**
 * Looks at the first byte of a connection to a TLS port: a handshake goes on in `tls`, a server that listens on nothing
 * itself; anything else, plain HTTP above all, is told so in words. Whoever sends nothing in time is cut.
 */
export function sniffTls(socket: Socket, tls: TlsServer, { timeoutMs, turns, faulted }: SniffOptions): void {
  const expire = (): void => {
    faulted?.('timeout');
    socket.destroy();
  };
  const timer = setTimeout(expire, timeoutMs).unref();
  socket.once('close', () => clearTimeout(timer));
  socket.on('error', () => socket.destroy());
  socket.once('readable', () => {
    clearTimeout(timer);
    const first: unknown = socket.read();
    if (!(first instanceof Buffer)) {
      socket.destroy();
      return;
    }
    if (first[0] !== FIRST_TLS_BYTE) {
      faulted?.('not_tls');
      socket.end(ANSWER, () => socket.destroySoon());
      socket.resume();
      return;
    }
    socket.unshift(first);
    const shake = (): void => {
      if (socket.destroyed) return;
      turns.spend(Cost.HANDSHAKE);
      tls.emit('connection', socket);
    };
    if (turns.crowded) turns.wait(shake);
    else shake();
  });
}
