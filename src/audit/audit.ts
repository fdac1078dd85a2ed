import { randomBytes } from 'node:crypto';
import { ConfigError, reason } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { Exchange, ExchangeParts, Outcome } from '../exchange/exchange.ts';
import { requestIdOf } from '../exchange/request-id.ts';
import type { Denial } from '../policy/denial.ts';
import { type AuditEvent, toLine } from './event.ts';
import { type RecordOptions, recordOf } from './record.ts';
import { fileDestination } from './sinks/file.ts';
import { type Destination, Sink, type SinkSnapshot } from './sinks/sink.ts';
import { stdoutDestination } from './sinks/stdout.ts';
import { parseSyslogUrl, syslogDestination } from './sinks/syslog.ts';

/** The audit log of one process: takes exchanges, writes lines to every sink. */
export interface Audit {
  /** Step 8: records an exchange that has ended. Never throws, never waits. */
  readonly observe: (exchange: Exchange, outcome: Outcome) => void;
  /** Step "admit": checks for queue space for the event of this exchange. */
  readonly admit: ExchangeParts['admit'];
  /** The same for an event that is not an exchange. */
  readonly room: () => undefined | Denial | Promise<undefined | Denial>;
  /** Records an event that is not an exchange, such as an administrative action. */
  readonly append: (event: AuditEvent) => void;
  readonly snapshot: () => AuditSnapshot;
  /** Flushes for at most `graceMs`. Resolves to the number of unwritten entries per sink. */
  readonly close: (graceMs: number) => Promise<ReadonlyMap<string, number>>;
}

/** State of the audit log. Counters since it was opened. */
export interface AuditSnapshot {
  readonly events: number;
  /** Requests refused because a sink was full. */
  readonly refused: number;
  readonly sinks: readonly SinkSnapshot[];
  /** Hash of the newest line in a file; absent without a hash chain. */
  readonly head?: string | undefined;
}

/** Parameters of the audit beside the configuration. */
export interface AuditOptions {
  readonly firstRefusal: RecordOptions['firstRefusal'];
  /** The denial of a request while the queue is full. */
  readonly unavailable: Denial;
  /** Called when a sink stops accepting entries (`fault` = the reason) or accepts them again (`undefined`). */
  readonly changed: (sink: string, fault: string | undefined) => void;
  /** An internal error while an event was created. */
  readonly fault: (error: unknown) => void;
  /** Number of this worker; `undefined` = the only process. */
  readonly worker?: number | undefined;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

type Settings = Pick<Config, 'audit' | 'gateway'>;

const MIB = 1_048_576;
/** Longest wait of a request for queue space, then it is refused. */
const BLOCK_MS = 5_000;

/** True = at least one sink is configured. */
export function isAudited({ audit, gateway }: Settings): boolean {
  const { stdout, syslog_url: syslog, otlp_url: otlp } = gateway.audit;
  return audit.enabled || stdout || syslog !== null || otlp !== null;
}

/**
 * Opens every configured sink. Rejects with `ConfigError` if one cannot be opened. `undefined` = no sink is configured.
 */
export async function createAudit(config: Settings, options: AuditOptions): Promise<Audit | undefined> {
  if (!isAudited(config)) return undefined;
  return new AuditLog(config, await openDestinations(config, options), options);
}

async function openDestinations({ audit, gateway }: Settings, options: AuditOptions): Promise<Destination[]> {
  const { stdout, syslog_url: syslog, otlp_url: otlp, max_file_mb: megabytes, hash_chain: hashChain } = gateway.audit;
  const destinations: Destination[] = [];
  if (otlp !== null) {
    // Loaded only when configured.
    const { otlpDestination } = await import('./sinks/otlp.ts');
    destinations.push(await otlpDestination(otlp));
  }
  if (syslog !== null) destinations.push(syslogDestination(parseSyslogUrl(syslog)));
  if (stdout) destinations.push(stdoutDestination(options.worker !== undefined));
  if (!audit.enabled) return destinations;
  const files = {
    dir: audit.dir,
    rotation: audit.rotation,
    maxFiles: audit.max_log_files,
    maxBytes: megabytes === null ? undefined : megabytes * MIB,
    hashChain,
    worker: options.worker,
    clock: options.clock ?? Date.now,
  };
  try {
    destinations.push(await fileDestination(files));
  } catch (error) {
    throw new ConfigError([{ place: 'audit.dir', message: `cannot write to \`${audit.dir}\`: ${reason(error)}` }]);
  }
  return destinations;
}

class AuditLog implements Audit {
  readonly #sinks: readonly Sink[];
  readonly #destinations: readonly Destination[];
  readonly #whenFull: Config['gateway']['audit']['when_full'];
  readonly #record: RecordOptions;
  readonly #options: AuditOptions;
  readonly #clock: () => number;
  /** Prefix of every event id of this process. */
  readonly #prefix = randomBytes(8).toString('hex');
  readonly #waiting = new Set<() => void>();
  #events = 0;
  #refused = 0;

  constructor({ audit, gateway }: Settings, destinations: readonly Destination[], options: AuditOptions) {
    const { buffer_entries: capacity, when_full: whenFull, trusted_proxies: trustedProxies } = gateway.audit;
    this.#whenFull = whenFull;
    this.#options = options;
    this.#clock = options.clock ?? Date.now;
    this.#record = {
      // With trusted proxies the address of an exchange is its client's already.
      trust: { trustedProxies, trustForwardedHeaders: audit.trust_forwarded_headers && !gateway.trusted_proxies },
      logApi: audit.log_api,
      firstRefusal: options.firstRefusal,
    };
    const { changed } = options;
    this.#destinations = destinations;
    this.#sinks = destinations.map((one) => new Sink(one, { capacity, changed, progressed: () => this.#wake() }));
  }

  readonly observe = (exchange: Exchange, outcome: Outcome): void => {
    try {
      const moment = { id: this.#nextId(), at: this.#clock(), now: performance.now() };
      const event = recordOf(exchange, outcome, moment, this.#record);
      if (event) this.#push(event, exchange.refusal !== this.#options.unavailable);
    } catch (error) {
      this.#options.fault(error);
    }
  };

  readonly append = (event: AuditEvent): void => this.#push(event, true);

  readonly admit = (exchange: Exchange): undefined | Denial | Promise<undefined | Denial> => {
    // Fixes the id before forwarding, so that upstream and the event carry the same one.
    requestIdOf(exchange);
    return this.room();
  };

  readonly room = (): undefined | Denial | Promise<undefined | Denial> => {
    if (this.#whenFull === 'drop' || this.#hasSpace()) return undefined;
    return this.#whenFull === 'block' ? this.#awaitSpace() : this.#refuse();
  };

  readonly snapshot = (): AuditSnapshot => ({
    events: this.#events,
    refused: this.#refused,
    sinks: this.#sinks.map((sink) => sink.snapshot()),
    head: this.#destinations.map((one) => one.head?.()).find((head) => head !== undefined),
  });

  readonly close = async (graceMs: number): Promise<ReadonlyMap<string, number>> => {
    const left = await Promise.all(this.#sinks.map(async (sink) => [sink.name, await sink.close(graceMs)] as const));
    this.#wake();
    return new Map(left.filter(([, count]) => count > 0));
  };

  /**
   * @param admitted the request was admitted: its event is kept even if the queue is full, which open requests bound.
   * The event of a request refused for lack of space is kept only if space has become free.
   */
  #push(event: AuditEvent, admitted: boolean): void {
    this.#events += 1;
    const entry = { event, line: toLine(event) };
    const keep = admitted && this.#whenFull !== 'drop';
    for (const sink of this.#sinks) sink.push(entry, keep);
  }

  #nextId(): string {
    return `${this.#prefix}-${(this.#events + 1).toString(36)}`;
  }

  #hasSpace(): boolean {
    return this.#sinks.every((sink) => !sink.isFull);
  }

  #refuse(): Denial {
    this.#refused += 1;
    return this.#options.unavailable;
  }

  /** Waits for queue space; a denial after `BLOCK_MS` without space. */
  async #awaitSpace(): Promise<undefined | Denial> {
    const end = performance.now() + BLOCK_MS;
    while (!this.#hasSpace()) {
      const left = end - performance.now();
      if (left <= 0) return this.#refuse();
      await this.#awaitWake(left);
    }
    return undefined;
  }

  #awaitWake(withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, withinMs);
    this.#waiting.add(resolve);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(resolve);
    });
  }

  /** Entries have left the queue: waiting requests check again. */
  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
