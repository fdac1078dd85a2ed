import cluster, { type Worker } from 'node:cluster';
import { CONSOLE_AWAY, type ConsolePort } from '../../exchange/console-request.ts';
import type { AskForKeys } from '../../identity/issuers/key-sets.ts';
import type { ExchangeLeases } from '../../limits/leases.ts';
import { errorOf } from './fault.ts';
import type {
  Answer,
  Call,
  ConsoleCall,
  ConsoleReply,
  KeysCall,
  KeysReply,
  LeaseCall,
  LeaseReply,
  WorkerCall,
  WorkerCalls,
} from './messages.ts';

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Services of the supervisor for a worker that asks. */
export interface WorkerServices {
  readonly leases?: ExchangeLeases | undefined;
  readonly askForKeys?: AskForKeys | undefined;
  readonly console?: ConsolePort | undefined;
}

/** A worker process from the supervisor's side: calls with answers over the channel between the processes. */
export class WorkerProcess {
  readonly pid: number;
  /** Resolves once the process has ended. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;

  /**
   * Forks.
   *
   * @param without variables that the process does not inherit
   * @param serves its asks for leases, for keys of issuers, and for pages of the console
   */
  constructor(without: readonly string[], serves: WorkerServices = {}) {
    // An undefined variable is not passed to the child.
    this.#worker = cluster.fork(Object.fromEntries(without.map((name) => [name, undefined])));
    this.pid = this.#worker.process.pid ?? 0;
    this.#worker.on('message', (sent: Answer | LeaseCall | KeysCall | ConsoleCall) => {
      if ('lease' in sent) void this.#lease(sent, serves.leases);
      else if ('keys' in sent) void this.#keys(sent, serves.askForKeys);
      else if ('page' in sent) void this.#page(sent, serves.console);
      else this.#settle(sent);
    });
    this.#worker.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        for (const { reject } of this.#waiting.values()) reject(new Error('the worker ended'));
        this.#waiting.clear();
        resolve();
      });
    });
  }

  /** Rejects with the worker's own error, if it ends before it answers, and after `limitMs`. */
  call<C extends WorkerCall>(
    call: C,
    given: WorkerCalls[C]['given'],
    limitMs: number,
  ): Promise<WorkerCalls[C]['answer']> {
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail(new Error('the worker does not answer')), limitMs);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        reject(error);
      };
      this.#waiting.set(id, {
        resolve: (answer) => {
          clearTimeout(timer);
          resolve(answer as WorkerCalls[C]['answer']); // what this call is answered with, by `worker.ts`
        },
        reject: fail,
      });
      const message: Call<C> = { id, call, given };
      this.#worker.send(message, (error) => {
        if (error) fail(new Error('the worker cannot be reached'));
      });
    });
  }

  /** Kills the process. */
  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  async #lease({ lease, asks, turn }: LeaseCall, exchange: ExchangeLeases | undefined): Promise<void> {
    const answer = await exchange?.(asks, turn).catch(() => undefined);
    const reply: LeaseReply = { lease, answer };
    // The worker may have ended.
    if (this.#worker.isConnected()) this.#worker.send(reply, () => undefined);
  }

  async #keys({ keys, issuer }: KeysCall, ask: AskForKeys | undefined): Promise<void> {
    await ask?.(issuer).catch(() => undefined);
    const reply: KeysReply = { keys };
    if (this.#worker.isConnected()) this.#worker.send(reply, () => undefined);
  }

  async #page({ page, request }: ConsoleCall, pages: ConsolePort | undefined): Promise<void> {
    const answer = (await pages?.ask(request).catch(() => undefined)) ?? CONSOLE_AWAY;
    const reply: ConsoleReply = { page, answer };
    if (this.#worker.isConnected()) this.#worker.send(reply, () => undefined);
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if (!waiting) return;
    this.#waiting.delete(answer.id);
    if (answer.ok) waiting.resolve(answer.answer);
    else waiting.reject(errorOf(answer.fault));
  }
}
