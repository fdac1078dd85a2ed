import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Guard } from '../../lifetime/guard.ts';
import { resetSocket } from '../../net/reset-socket.ts';

/** The state of an unfinished answer. */
interface Watched {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Bytes that were written and not taken when it was last looked at. */
  owed: number;
  /** Milliseconds: some were taken then, or none were owed. */
  takenAt: number;
}

/**
 * Watches that clients of HTTP/1 take their answers: one that takes no byte for `idleMs` milliseconds loses its exchange,
 * whatever the answer is (streamed, whole, a refusal, health). What an exchange holds for the answer is freed with it. Over
 * HTTP/2 the stream looks after that.
 */
export class AnswerWatch {
  readonly #idleMs: number;
  readonly #guard: Guard;
  readonly #now: () => number;
  readonly #watched = new Set<Watched>();

  /** @param now monotonic milliseconds */
  constructor(idleMs: number, guard: Guard, now: () => number) {
    this.#idleMs = idleMs;
    this.#guard = guard;
    this.#now = now;
  }

  /** Answers that are not finished. */
  get open(): number {
    return this.#watched.size;
  }

  /** Watches one answer to its end. */
  add(request: IncomingMessage, response: ServerResponse): void {
    const one: Watched = { request, response, owed: 0, takenAt: this.#now() };
    this.#watched.add(one);
    response.on(
      'drain',
      this.#guard.entry(() => {
        one.takenAt = this.#now();
      }),
    );
    response.once(
      'close',
      this.#guard.entry(() => this.#watched.delete(one)),
    );
  }

  /** To be called now and then: as often as the limit is to be exact. */
  tick(): void {
    const now = this.#now();
    for (const one of this.#watched) {
      const owed = one.response.writableLength;
      if (owed === 0 || owed !== one.owed) {
        one.owed = owed;
        one.takenAt = now;
      } else if (now - one.takenAt >= this.#idleMs) {
        one.takenAt = now;
        giveUp(one);
      }
    }
  }
}

/** Ends the answer so that no client can take it for whole. */
function giveUp(one: Watched): void {
  const { request, response } = one;
  if ('encrypted' in request.socket) request.socket.destroy();
  else resetSocket(request.socket);
  response.destroy();
}
