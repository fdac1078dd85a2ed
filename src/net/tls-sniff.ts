import type { Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import type { Guard } from '../lifetime/guard.ts';
import { Cost, type WorkScheduler } from '../limits/work-scheduler.ts';

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
  readonly scheduler: WorkScheduler;
  /** Called for a client that speaks no TLS, or sends no byte in time. */
  readonly faulted: ((fault: 'not_tls' | 'timeout') => void) | undefined;
  /** Of the connection. */
  readonly guard: Guard;
}

/**
 * Looks at the first byte of a connection to a TLS port. A handshake goes on in `tls`, a server without a port of its own.
 * Any other byte, as of plain HTTP, gets an error text. A client that sends nothing within `timeoutMs` is disconnected.
 */
export function sniffTls(socket: Socket, tls: TlsServer, options: SniffOptions): void {
  const { timeoutMs, scheduler, faulted, guard } = options;
  const shake = guard.entry(() => {
    if (socket.destroyed) return;
    scheduler.spend(Cost.HANDSHAKE);
    // A client that closes its half before the handshake is done has left.
    socket.allowHalfOpen = false;
    tls.emit('connection', socket);
  });
  const look = guard.entry(() => {
    clearTimeout(timer);
    const first: unknown = socket.read();
    if (!(first instanceof Buffer)) {
      socket.destroy();
      return;
    }
    if (first[0] !== FIRST_TLS_BYTE) {
      faulted?.('not_tls');
      socket.end(
        ANSWER,
        guard.entry(() => socket.destroySoon()),
      );
      socket.resume();
      return;
    }
    socket.unshift(first);
    if (scheduler.crowded) scheduler.wait(shake);
    else shake();
  });
  const timer = guard.after(timeoutMs, () => {
    faulted?.('timeout');
    socket.destroy();
  });
  timer.unref();
  socket.once(
    'close',
    guard.entry(() => clearTimeout(timer)),
  );
  socket
    .on(
      'error',
      guard.entry(() => void socket.destroy()),
    )
    .once('readable', look);
}
