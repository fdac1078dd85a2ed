import {
  CONSOLE_AWAY,
  type ConsoleAnswer,
  type ConsolePort,
  type ConsoleRequest,
} from '../../exchange/console-request.ts';
import type { ConsoleCall, ConsoleReply } from './messages.ts';

/** Longest wait for the supervisor, in milliseconds. */
const LIMIT_MS = 30_000;
/** Most requests at once; more are not asked. */
const MAX_WAITING = 256;

/** A worker's requests to the console, which the supervisor answers. */
export class WorkerConsole implements ConsolePort {
  readonly #send: (call: ConsoleCall) => void;
  readonly #waiting = new Map<number, (answer: ConsoleAnswer) => void>();
  #calls = 0;

  /** @param send to the supervisor */
  constructor(send: (call: ConsoleCall) => void) {
    this.#send = send;
  }

  readonly ask = async (request: ConsoleRequest): Promise<ConsoleAnswer> => {
    if (this.#waiting.size >= MAX_WAITING) return CONSOLE_AWAY;
    this.#calls += 1;
    const page = this.#calls;
    const { promise, resolve } = Promise.withResolvers<ConsoleAnswer>();
    const timer = setTimeout(() => resolve(CONSOLE_AWAY), LIMIT_MS).unref();
    this.#waiting.set(page, resolve);
    this.#send({ page, request });
    const answer = await promise;
    clearTimeout(timer);
    this.#waiting.delete(page);
    return answer;
  };

  replied({ page, answer }: ConsoleReply): void {
    this.#waiting.get(page)?.(answer);
  }
}
