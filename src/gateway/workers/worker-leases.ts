import type { ExchangeLeases, LeaseAnswer, Leases } from '../../limits/leases.ts';
import type { LeaseCall, LeaseReply } from './messages.ts';

/** Longest wait for the supervisor, in milliseconds. */
const LIMIT_MS = 5000;

/** Interval of asks for the number of processes alone, in milliseconds. */
const COUNT_MS = 2000;

/** A worker's asks for leases, which the supervisor answers. */
export class WorkerLeases implements Leases {
  readonly #send: (call: LeaseCall) => void;
  readonly #waiting = new Map<number, (answer: LeaseAnswer | undefined) => void>();
  #calls = 0;
  #holders = 1;

  /** @param send to the supervisor */
  constructor(send: (call: LeaseCall) => void) {
    this.#send = send;
  }

  /** @param holders processes that share the buckets */
  begin(holders: number): void {
    this.#holders = holders;
    setInterval(() => void this.exchange([]).catch(() => undefined), COUNT_MS).unref();
  }

  readonly holders = (): number => this.#holders;

  readonly exchange: ExchangeLeases = async (asks, turn) => {
    this.#calls += 1;
    const lease = this.#calls;
    const { promise, resolve } = Promise.withResolvers<LeaseAnswer | undefined>();
    const timer = setTimeout(resolve, LIMIT_MS, undefined).unref();
    this.#waiting.set(lease, resolve);
    this.#send({ lease, asks, turn });
    const answer = await promise;
    clearTimeout(timer);
    this.#waiting.delete(lease);
    if (!answer) throw new Error('the common limits cannot be reached');
    this.#holders = answer.holders;
    return answer;
  };

  replied({ lease, answer }: LeaseReply): void {
    this.#waiting.get(lease)?.(answer);
  }
}
