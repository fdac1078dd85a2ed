import type { Socket } from 'node:net';
import type { Guard } from '../lifetime/guard.ts';
import type { WorkScheduler } from '../limits/work-scheduler.ts';
import { SLOW_MS } from './budget.ts';

/**
 * Why a client is not read: its turn has not come; upstream does not take what it sends; it does not take what it is sent;
 * it flooded, and what is still on its way is not even decrypted.
 */
export const Pause = { TURN: 1, UPSTREAM: 2, OWN: 4, FLOOD: 8 } as const;

/**
 * Reads the socket of one client: in order, in turns with all others, and not while there is a reason to wait. The only
 * place that pauses and resumes that socket.
 */
export class PacedReading {
  readonly #socket: Socket;
  readonly #scheduler: WorkScheduler;
  readonly #guard: Guard;
  readonly #read: (chunk: Buffer) => void;
  readonly #resume: () => void;
  /** Bytes that wait for this connection's turn. */
  #unread: Buffer[] = [];
  /** It is not to be read for a while. */
  #slowed = false;
  #pauses = 0;
  #stopped = false;

  /** @param read takes the next bytes, and calls `postpone` with what it leaves of them */
  constructor(socket: Socket, scheduler: WorkScheduler, guard: Guard, read: (chunk: Buffer) => void) {
    this.#socket = socket;
    this.#scheduler = scheduler;
    this.#guard = guard;
    this.#read = read;
    this.#resume = guard.entry(() => this.#continue());
  }

  /** The next bytes of the socket. INVARIANT: bytes are read in the order they came. */
  receive(chunk: Buffer): void {
    if (this.#stopped) return;
    if (this.#unread.length > 0 || this.#slowed || this.#scheduler.crowded) this.postpone(chunk);
    else this.#read(chunk);
  }

  /** Keeps bytes until it is this connection's turn. */
  postpone(chunk: Buffer): void {
    this.#unread.push(chunk);
    if (this.#unread.length > 1) return;
    this.pause(Pause.TURN);
    // A client that gives up so many calls can wait for its next bytes.
    if (this.#slowed) this.#guard.after(SLOW_MS, this.#resume);
    else this.#scheduler.wait(this.#resume);
    this.#slowed = false;
  }

  /** The next bytes wait a little. */
  slowDown(): void {
    this.#slowed = true;
  }

  pause(why: number): void {
    if (this.#pauses === 0) this.#socket.pause();
    this.#pauses |= why;
  }

  /** Reads on, unless there is another reason not to. */
  resume(why: number): void {
    if ((this.#pauses & why) === 0) return;
    this.#pauses &= ~why;
    if (this.#pauses === 0) this.#socket.resume();
  }

  /** Nothing is handed on any more; what comes is thrown away, so that the end of the socket is seen. */
  stop(): void {
    this.#stopped = true;
    this.#unread = [];
    this.resume(Pause.TURN | Pause.UPSTREAM | Pause.OWN);
  }

  #continue(): void {
    const [first, ...more] = this.#unread;
    this.#unread = [];
    if (!first || this.#stopped) return;
    this.resume(Pause.TURN);
    this.#read(more.length > 0 ? Buffer.concat([first, ...more]) : first);
  }
}
