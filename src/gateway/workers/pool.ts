import cluster from 'node:cluster';
import { extname, join } from 'node:path';
import type { AdminAct } from '../../audit/act.ts';
import { ConfigError } from '../../config/problem.ts';
import type { State } from '../../config/state.ts';
import type { ConsolePort } from '../../exchange/console-request.ts';
import type { AskForKeys } from '../../identity/issuers/key-sets.ts';
import type { Revocations } from '../../identity/revocations.ts';
import type { Leases } from '../../limits/leases.ts';
import type { GatewaySnapshot, SnapshotDetail } from '../../observability/snapshot.ts';
import type { KeySetInForce } from '../../policy/mapping/issuer.ts';
import type { NamedKeysInForce } from '../../policy/named-key.ts';
import type { ValidationCertificate } from '../../rest/tls/validation-tls.ts';
import type { TokenAnswer } from '../../token-endpoint/answers.ts';
import type { TokenRequest } from '../../token-endpoint/endpoint.ts';
import type { Fleet } from '../fleet.ts';
import type { Applied } from '../gateway.ts';
import { TicketKeys, withTicketKeys } from '../ticket-keys.ts';
import { clearUnixPaths } from '../unix-listeners.ts';
import type { ConsoleTokenRequest } from './console-token.ts';
import type { IdentifiedCaller } from './identify-caller.ts';
import type { Beside, InForce, Listeners } from './messages.ts';
import { changeOf } from './named-keys-change.ts';
import { shareOf } from './share.ts';
import { WorkerProcess } from './worker-process.ts';

/** Milliseconds. */
const START_LIMIT = 30_000;
const CALL_LIMIT = 10_000;
const SNAPSHOT_LIMIT = 2_000;
/** Milliseconds beyond the grace time before a worker is killed. */
const STOP_MARGIN = 2_000;
/** Lifetime below which a replacement waits as long, in milliseconds. */
const SHORT_LIFE = 1_000;

/** Events of the workers for the supervisor. */
export interface PoolEvents {
  /** A worker ended unexpectedly and was replaced. */
  readonly replaced: (pid: number, restarts: number) => void;
  /** A replacement did not start; it is tried again. */
  readonly failed: (error: unknown) => void;
}

export interface PoolOptions {
  readonly state: State;
  /** Number of serving processes. */
  readonly count: number;
  /**
   * Variables that workers do not inherit: they receive their state by message, and keys are in one environment less.
   */
  readonly withheld: readonly string[];
  readonly events: PoolEvents;
  /** Limits are counted with other gateways; default: each worker counts its share. */
  readonly leases?: Leases | undefined;
  /** For fetched keys of issuers; default: there are none. */
  readonly askForKeys?: AskForKeys | undefined;
  /** The console, for workers whose REST port serves it; default: there is none. */
  readonly console?: ConsolePort | undefined;
}

/**
 * Several gateways, one per process, behind the same two ports: this process accepts connections and distributes them
 * round robin (`node:cluster`). Workers read no files; state and revocations are sent to them. A worker that ends is
 * replaced and receives the current state.
 */
export function createPool(options: PoolOptions): Fleet {
  cluster.setupPrimary({
    exec: join(import.meta.dirname, `worker${extname(import.meta.filename)}`),
    args: [],
    serialization: 'advanced',
  });
  return new Pool(options);
}

class Pool implements Fleet {
  readonly #options: PoolOptions;
  /** All processes. */
  readonly #workers = new Set<WorkerProcess>();
  /** Processes with the state in force. */
  readonly #serving = new Set<WorkerProcess>();
  /**
   * INVARIANT: workers report the generation of their state, not a count of states: a worker may have started later.
   */
  #inForce: InForce;
  #beside: Beside = { revocations: undefined, drained: [], namedKeys: undefined, keySets: [], validations: [] };
  readonly #ticketKeys = new TicketKeys();
  #stopping = false;
  #restarts = 0;
  #turn = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#inForce = { state: options.state, generation: 1 };
  }

  async start(): Promise<Listeners> {
    try {
      await clearUnixPaths(this.#inForce.state.config);
      const started = await Promise.all(Array.from({ length: this.#options.count }, (_, index) => this.#add(index)));
      const [first] = started;
      if (!first) throw new RangeError('a pool needs at least one worker');
      return first;
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  async apply(state: State): Promise<Applied> {
    this.#ticketKeys.changing(this.#inForce.state, state);
    const workers = [...this.#serving];
    const before = this.#inForce;
    // First: a starting worker compares this with the state it was started with.
    this.#inForce = { state, generation: before.generation + 1 };
    const shared = this.#share(this.#inForce);
    const outcomes = await Promise.allSettled(workers.map((worker) => worker.call('apply', shared, CALL_LIMIT)));
    const taken = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    const [applied] = taken;
    if (!applied) {
      this.#inForce = before;
      throw refused.find((error) => error instanceof ConfigError) ?? refused[0] ?? new Error('no worker is serving');
    }
    // INVARIANT: no process continues with a state that is not in force; its replacement gets the one that is.
    outcomes.forEach((one, at) => {
      if (one.status === 'rejected') workers[at]?.kill();
    });
    return applied;
  }

  async setRevocations(revocations: Revocations): Promise<void> {
    this.#beside = { ...this.#beside, revocations };
    await this.#tell((worker) => worker.call('revocations', revocations, CALL_LIMIT));
  }

  async drainNodes(names: readonly string[]): Promise<void> {
    this.#beside = { ...this.#beside, drained: names };
    await this.#tell((worker) => worker.call('drain', names, CALL_LIMIT));
  }

  async setNamedKeys(namedKeys: NamedKeysInForce): Promise<void> {
    const change = changeOf(this.#beside.namedKeys, namedKeys);
    this.#beside = { ...this.#beside, namedKeys };
    await this.#tell((worker) => worker.call('namedKeys', change, CALL_LIMIT));
  }

  async setKeySets(keySets: readonly KeySetInForce[]): Promise<void> {
    this.#beside = { ...this.#beside, keySets };
    await this.#tell((worker) => worker.call('keySets', keySets, CALL_LIMIT));
  }

  async setValidations(validations: readonly ValidationCertificate[]): Promise<void> {
    this.#beside = { ...this.#beside, validations };
    await this.#tell((worker) => worker.call('validations', validations, CALL_LIMIT));
  }

  /** A worker that does not hear it is replaced: its replacement knows. */
  async #tell(tell: (worker: WorkerProcess) => Promise<unknown>): Promise<void> {
    await Promise.all([...this.#serving].map((worker) => tell(worker).catch(() => worker.kill())));
  }

  async renewTicketKeys(): Promise<void> {
    const keys = this.#ticketKeys.renew();
    // A worker that does not answer keeps its keys until the next time: its tickets are then good in itself only.
    await Promise.allSettled([...this.#serving].map((worker) => worker.call('ticketKeys', keys, CALL_LIMIT)));
  }

  async snapshots(details: readonly SnapshotDetail[] = []): Promise<readonly GatewaySnapshot[]> {
    const outcomes = await Promise.allSettled(
      [...this.#serving].map((worker) => worker.call('snapshot', details, SNAPSHOT_LIMIT)),
    );
    return outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  }

  async act(act: AdminAct): Promise<void> {
    const [first] = this.#serving;
    await first?.call('act', act, CALL_LIMIT);
  }

  async exchangeToken(request: TokenRequest): Promise<TokenAnswer> {
    return await this.#next().call('token', request, CALL_LIMIT);
  }

  async identify(credential: string, remote: string): Promise<IdentifiedCaller> {
    if (this.#serving.size === 0) return { ok: false, why: 'unknown' };
    return await this.#next().call('identify', { credential, remote }, CALL_LIMIT);
  }

  async consoleToken(request: ConsoleTokenRequest): Promise<string | undefined> {
    return await this.#next().call('consoleToken', request, CALL_LIMIT);
  }

  /** In turn: each process has its share of a rate. Throws if none is serving. */
  #next(): WorkerProcess {
    this.#turn += 1;
    const workers = [...this.#serving];
    const worker = workers[this.#turn % workers.length];
    if (!worker) throw new Error('no worker is serving');
    return worker;
  }

  async depart(): Promise<void> {
    // A worker that does not answer, or ends meanwhile, is stopped all the same.
    await Promise.allSettled([...this.#serving].map((worker) => worker.call('depart', null, CALL_LIMIT)));
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    await Promise.all(
      [...this.#workers].map(async (worker) => {
        const cut = setTimeout(() => worker.kill(), graceMs + STOP_MARGIN);
        worker.call('stop', graceMs, graceMs + STOP_MARGIN).catch(() => undefined);
        await worker.ended;
        clearTimeout(cut);
      }),
    );
  }

  #share({ state, generation }: InForce): InForce {
    const { count, leases } = this.#options;
    return { state: withTicketKeys(shareOf(state, count, leases !== undefined), this.#ticketKeys), generation };
  }

  /** Rejects if the worker does not start; it has then been removed. */
  async #add(index: number): Promise<Listeners> {
    const worker = new WorkerProcess(this.#options.withheld, {
      leases: this.#options.leases?.exchange,
      askForKeys: this.#options.askForKeys,
      console: this.#options.console,
    });
    const begun = performance.now();
    this.#workers.add(worker);
    void worker.ended.then(() => {
      this.#workers.delete(worker);
      const served = this.#serving.delete(worker);
      if (served && !this.#stopping) this.#replace(index, worker.pid, performance.now() - begun);
    });
    let [inForce, beside, tickets] = [this.#inForce, this.#beside, this.#ticketKeys.current];
    try {
      const holders = this.#options.leases?.holders();
      const given = { index, holders, ...this.#share(inForce), ...beside };
      const listeners = await worker.call('start', given, START_LIMIT);
      // Applies changes made while it started. INVARIANT: no await between the last check and joining the others.
      while (this.#inForce !== inForce || this.#beside !== beside || this.#ticketKeys.current !== tickets) {
        const change = this.#beside.namedKeys && changeOf(beside.namedKeys, this.#beside.namedKeys);
        [inForce, beside, tickets] = [this.#inForce, this.#beside, this.#ticketKeys.current];
        await worker.call('apply', this.#share(inForce), CALL_LIMIT);
        if (beside.revocations) await worker.call('revocations', beside.revocations, CALL_LIMIT);
        await worker.call('drain', beside.drained, CALL_LIMIT);
        await worker.call('keySets', beside.keySets, CALL_LIMIT);
        await worker.call('validations', beside.validations, CALL_LIMIT);
        if (change) await worker.call('namedKeys', change, CALL_LIMIT);
      }
      this.#serving.add(worker);
      return listeners;
    } catch (error) {
      worker.kill();
      await worker.ended;
      throw error;
    }
  }

  #replace(index: number, pid: number, livedMs: number): void {
    this.#restarts += 1;
    this.#options.events.replaced(pid, this.#restarts);
    const again = (): void => {
      if (this.#stopping) return;
      this.#add(index).catch((error: unknown) => {
        this.#options.events.failed(error);
        setTimeout(again, SHORT_LIFE).unref();
      });
    };
    if (livedMs < SHORT_LIFE) setTimeout(again, SHORT_LIFE).unref();
    else again();
  }
}
