import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Guard } from '../../lifetime/guard.ts';

/** The state of an unfinished answer. */
interface Watched {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Bytes that were written and not taken when it was last looked at. */
  owed: number;
  /** Milliseconds: some were taken then, or none were owed. */
  takenAt: number;
  /** Its end has been asked for; if that comes to nothing, its connection ends. */
  givenUp: boolean;
}

/** RFC 9113 section 7. */
const INTERNAL_ERROR = 2;

/**
 * Watches that clients take their answers: one that takes no byte for `idleMs` milliseconds loses its exchange, whatever
 * the answer is (streamed, whole, a refusal, health) and whatever it comes over (HTTP/1 or HTTP/2). What an exchange holds
 * for the answer is freed with it.
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
    const one: Watched = { request, response, owed: 0, takenAt: this.#now(), givenUp: false };
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
  const { request, response, givenUp } = one;
  one.givenUp = true;
  const stream = streamOf(request);
  if (stream && !givenUp) stream.close(INTERNAL_ERROR);
  // A connection that takes nothing at all does not take the reset either.
  else if (stream) stream.session?.destroy();
  else if ('encrypted' in request.socket) request.socket.destroy();
  else request.socket.resetAndDestroy();
  if (!stream) response.destroy();
}

interface Stream {
  readonly close: (code: number) => void;
  readonly session?: { readonly destroy: () => void };
}

function streamOf(request: object): Stream | undefined {
  if (!('stream' in request)) return undefined;
  const { stream } = request;
  return typeof stream === 'object' && stream !== null && 'close' in stream ? (stream as Stream) : undefined;
}
