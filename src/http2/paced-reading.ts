import type { Socket } from 'node:net';
import type { Guard } from '../lifetime/guard.ts';
import type { WorkScheduler } from '../limits/work-scheduler.ts';
import { SLOW_MS } from './budget.ts';

/**
 * Reasons not to read a client: it waits for its turn; upstream does not accept its data; it does not accept its own
 * data; it flooded, so that its remaining bytes are not even decrypted.
 */
export const Pause = { TURN: 1, UPSTREAM: 2, OWN: 4, FLOOD: 8 } as const;

/** Reads what a client sends. */
export interface ChunkReader {
  /** Takes bytes, and calls `postpone` with the unread rest. */
  read(chunk: Buffer): void;
}

/**
 * Reads the socket of one client in order, scheduled with all others, while there is no reason to pause. The only place
 * that pauses and resumes that socket.
 */
export class PacedReading {
  readonly #socket: Socket;
  readonly #scheduler: WorkScheduler;
  readonly #guard: Guard;
  readonly #reader: ChunkReader;
  /** Made for the first turn: most connections wait for none. */
  #resume: (() => void) | undefined;
  /** Bytes that wait for this connection's turn. */
  #unread: Buffer[] = [];
  /** True = delayed by `slowDown`. */
  #slowed = false;
  #pauses = 0;
  #stopped = false;

  constructor(socket: Socket, scheduler: WorkScheduler, guard: Guard, reader: ChunkReader) {
    this.#socket = socket;
    this.#scheduler = scheduler;
    this.#guard = guard;
    this.#reader = reader;
  }

  /** Takes bytes of the socket. INVARIANT: bytes are read in order. */
  receive(chunk: Buffer): void {
    if (this.#stopped) return;
    if (this.#unread.length > 0 || this.#slowed || this.#scheduler.crowded) this.postpone(chunk);
    else this.#reader.read(chunk);
  }

  /** Keeps bytes until this connection's turn. */
  postpone(chunk: Buffer): void {
    this.#unread.push(chunk);
    if (this.#unread.length > 1) return;
    this.pause(Pause.TURN);
    this.#resume ??= this.#guard.entry(() => this.#continue());
    // A client that cancels that many calls can be delayed.
    if (this.#slowed) this.#guard.after(SLOW_MS, this.#resume);
    else this.#scheduler.wait(this.#resume);
    this.#slowed = false;
  }

  /** Delays the next bytes by `SLOW_MS`. */
  slowDown(): void {
    this.#slowed = true;
  }

  /** True = there is a reason not to read: what the client has not sent yet, it may have been kept from sending. */
  get paused(): boolean {
    return this.#pauses !== 0;
  }

  pause(why: number): void {
    if (this.#pauses === 0) this.#socket.pause();
    this.#pauses |= why;
  }

  /** Removes a reason, and reads if there is no other. */
  resume(why: number): void {
    if ((this.#pauses & why) === 0) return;
    this.#pauses &= ~why;
    if (this.#pauses === 0) this.#socket.resume();
  }

  /** Passes nothing on any more; later bytes are discarded, so that the end of the socket is noticed. */
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
    this.#reader.read(more.length > 0 ? Buffer.concat([first, ...more]) : first);
  }
}
