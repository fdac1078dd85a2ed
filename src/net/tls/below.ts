import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Guard } from '../../lifetime/guard.ts';
import { beginWrite, type SocketHandle, type StreamSocket } from './internals.ts';

/** Written, or why not. */
type Written = (error?: Error | null) => void;

/**
 * The connection below TLS, as the stream that Node asks for: it has no buffers of its own. What is written goes to the socket at once;
 * bytes of the client come from `TlsReading`.
 */
export class Below extends EventEmitter {
  readonly readable = true;
  readonly writable = true;
  readonly allowHalfOpen = false;
  readonly #carrier: Socket;
  readonly #handle: SocketHandle;
  #isWanted = false;
  #isHeld = false;

  constructor(carrier: Socket, handle: SocketHandle) {
    super();
    this.#carrier = carrier;
    this.#handle = handle;
  }

  /** No more is read from now on, because bytes wait; or it is read again, as far as the connection above wants more. */
  set held(isHeld: boolean) {
    this.#isHeld = isHeld;
    this.#read();
  }

  pause(): this {
    this.#isWanted = false;
    this.#read();
    return this;
  }

  resume(): this {
    this.#isWanted = true;
    this.#read();
    return this;
  }

  #read(): void {
    if (this.#isWanted && !this.#isHeld) this.#handle.readStart();
    else this.#handle.readStop();
  }

  write(chunk: Buffer, written: Written): boolean {
    return this.#carrier.write(chunk, written);
  }

  cork(): void {
    this.#carrier.cork();
  }

  uncork(): void {
    this.#carrier.uncork();
  }

  end(ended: () => void): void {
    this.#carrier.end(ended);
  }

  destroy(): void {
    this.#carrier.destroy();
  }
}

/**
 * Makes writing faster. Node ends each write of such a stream in a turn of the event loop of its own, and the next one waits for it; what
 * the socket takes at once ends here with the code that runs now.
 */
export function writeAtOnce(stream: StreamSocket, carrier: Socket, guard: Guard): void {
  const { doWrite: slow, _handle: handle } = stream;
  if (!handle) return;
  const ended = guard.entry(() => stream.finishWrite(handle, 0));
  stream.doWrite = (request, chunks) => {
    // As Node does with a stream that is closed.
    if (!stream._handle || carrier.destroyed) return Reflect.apply(slow, stream, [request, chunks]);
    beginWrite(stream, request);
    const isOne = chunks.length === 1;
    if (!isOne) carrier.cork();
    let isTaken = true;
    for (const chunk of chunks) isTaken = carrier.write(chunk);
    if (!isOne) carrier.uncork();
    if (isTaken) process.nextTick(ended);
    else carrier.once('drain', ended);
    return 0;
  };
}
