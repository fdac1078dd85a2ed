import type { Socket } from 'node:net';
import type { Guard } from '../lifetime/guard.ts';
import { Cost, type WorkScheduler } from '../limits/work-scheduler.ts';
import { offeredProtocols } from './client-hello.ts';

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
  /** Chooses a server by the protocols that the client offers; it waits for them only if this is there. Default: `usual`. */
  readonly choose?: ((protocols: readonly string[]) => BeginHandshake) | undefined;
}

/** Begins a handshake in a TLS server without a port of its own. */
export type BeginHandshake = (socket: Socket, guard: Guard) => void;

/**
 * Looks at the first byte of a connection to a TLS port. A handshake goes on in `usual`, and nothing of this is kept with it.
 * Any other byte, as of plain HTTP, gets an error text. A client that sends nothing within `timeoutMs` is disconnected.
 *
 * @param socket something listens to its errors
 */
export function sniffTls(socket: Socket, usual: BeginHandshake, options: SniffOptions): void {
  const { timeoutMs, scheduler, faulted, guard, choose } = options;
  let beginHandshake = usual;
  const shake = guard.entry(() => {
    if (socket.destroyed) return;
    scheduler.spend(Cost.HANDSHAKE);
    // A client that closes its half before the handshake is done has left.
    socket.allowHalfOpen = false;
    beginHandshake(socket, guard);
  });
  const stop = guard.entry((): void => {
    clearTimeout(timer);
    socket.off('close', stop);
  });
  const begin = (bytes: Buffer): void => {
    stop();
    socket.unshift(bytes);
    if (scheduler.crowded) scheduler.wait(shake);
    else shake();
  };
  const look = guard.entry(() => {
    const first: unknown = socket.read();
    if (!(first instanceof Buffer)) {
      stop();
      socket.destroy();
      return;
    }
    if (first[0] !== FIRST_TLS_BYTE) {
      stop();
      faulted?.('not_tls');
      socket.end(
        ANSWER,
        guard.entry(() => socket.destroySoon()),
      );
      socket.resume();
      return;
    }
    if (!choose) {
      begin(first);
      return;
    }
    choosing(first);
  });
  /** Collects the first record, which is of limited size, and looks what it offers. */
  const choosing = (bytes: Buffer): void => {
    const offered = offeredProtocols(bytes);
    if (offered !== 'more') {
      if (choose && offered !== 'none') beginHandshake = choose(offered);
      begin(bytes);
      return;
    }
    socket.once(
      'readable',
      guard.entry(() => {
        const more: unknown = socket.read();
        // Nothing to read means the end.
        if (more instanceof Buffer) choosing(Buffer.concat([bytes, more]));
        else socket.destroy();
      }),
    );
  };
  const timer = guard.after(timeoutMs, () => {
    faulted?.('timeout');
    socket.destroy();
  });
  timer.unref();
  socket.on('close', stop).once('readable', look);
}
