import { setImmediate as setImmediatePromise } from 'node:timers/promises';
import type { AuditEvent } from '../event.ts';
import { Queue } from './queue.ts';

/** An event and its line, shared by all sinks. */
export interface AuditEntry {
  readonly event: AuditEvent;
  /** One line of JSON without its line break. */
  readonly line: string;
}

/** The result of a write. */
export interface Written {
  /** Number of leading entries that are finished; the others are passed again. */
  readonly done: number;
  /** Number of finished entries that can never be written. */
  readonly lost?: number;
  /** Reason why the destination accepts no more for now: a system error code or a short text. */
  readonly fault?: string;
}

/** The destination of a sink. Never throws, never rejects; called again only after the last call has resolved. */
export interface Destination {
  readonly name: string;
  /** Writes entries in order. A pending call means backpressure; it may never resolve. */
  write(entries: readonly AuditEntry[]): Promise<Written>;
  /** Hash of the newest line written; `undefined` = no chain, or no line yet. */
  head?(): string | undefined;
  /** Closes open resources, even with a write pending. */
  close(): Promise<void> | void;
}

/** State of a sink. */
export interface SinkSnapshot {
  readonly name: string;
  readonly written: number;
  /** Entries that were lost: the queue was full, or the destination cannot represent them. */
  readonly dropped: number;
  readonly queued: number;
  /** Reason why it accepts no entries now; `undefined` = it accepts them. */
  readonly fault: string | undefined;
}

/** Parameters of a sink. Times in milliseconds. */
export interface SinkOptions {
  /** Size of the queue, in entries. */
  readonly capacity: number;
  /** Called when the destination stops accepting entries (`fault` = the reason) or accepts them again (`undefined`). */
  readonly changed: (name: string, fault: string | undefined) => void;
  /** Called when entries have left the queue. */
  readonly progressed: () => void;
  readonly retry?: { readonly firstMs: number; readonly mostMs: number };
}

const MAX_BATCH = 1024;
const RETRY = { firstMs: 50, mostMs: 2_000 };
/** While closing, a destination without progress for this long is abandoned. */
const STUCK_MS = 2_000;

/** A bounded queue before a destination. Entries of one turn of the event loop are one write. */
export class Sink {
  readonly name: string;
  readonly #destination: Destination;
  readonly #options: SinkOptions;
  readonly #queue = new Queue<AuditEntry>();
  #written = 0;
  #dropped = 0;
  #fault: string | undefined;
  #running = false;
  #closed = false;
  #delay = 0;
  #wake: (() => void) | undefined;

  constructor(destination: Destination, options: SinkOptions) {
    this.name = destination.name;
    this.#destination = destination;
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#queue.length >= this.#options.capacity;
  }

  /** @param keep enqueue beyond the capacity; else a full queue drops and counts the entry */
  push(entry: AuditEntry, keep: boolean): void {
    if (this.#closed || (this.isFull && !keep)) {
      this.#dropped += 1;
      return;
    }
    this.#queue.push(entry);
    if (this.#running) return;
    this.#running = true;
    setImmediate(() => void this.#run());
  }

  snapshot(): SinkSnapshot {
    return {
      name: this.name,
      written: this.#written,
      dropped: this.#dropped,
      queued: this.#queue.length,
      fault: this.#fault,
    };
  }

  /**
   * Flushes for at most `graceMs`, then closes. Resolves to the number of unwritten entries, which count as dropped.
   */
  async close(graceMs: number): Promise<number> {
    const end = performance.now() + graceMs;
    while (this.#queue.length > 0 && performance.now() < end) {
      const before = this.#queue.length;
      this.#wake?.();
      await this.#settled(Math.min(STUCK_MS, end - performance.now()));
      if (this.#queue.length === before) break;
    }
    this.#closed = true;
    const left = this.#queue.length;
    this.#dropped += left;
    this.#queue.drop(left);
    this.#wake?.();
    await this.#destination.close();
    return left;
  }

  /** Resolves when entries have left the queue, or after `ms`. */
  #settled(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const from = this.#queue.length;
    const end = performance.now() + ms;
    const look = (): void => {
      if (this.#queue.length !== from || performance.now() >= end) resolve();
      else setTimeout(look, 5);
    };
    look();
    return promise;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0 && !this.#closed) {
      const { done, lost = 0, fault } = await this.#destination.write(this.#queue.peek(MAX_BATCH));
      if (this.#closed) break;
      this.#queue.drop(done);
      this.#written += done - lost;
      this.#dropped += lost;
      this.#note(fault);
      if (done > 0) this.#options.progressed();
      if (fault !== undefined) await this.#pause(done > 0);
      // Requests have priority: at most one write per turn of the event loop.
      else await setImmediatePromise();
    }
    this.#running = false;
  }

  #note(fault: string | undefined): void {
    if (fault === this.#fault) return;
    this.#fault = fault;
    this.#options.changed(this.name, fault);
  }

  /** Backoff before the next write; reset after progress. */
  #pause(moved: boolean): Promise<void> {
    const { firstMs, mostMs } = this.#options.retry ?? RETRY;
    this.#delay = moved || this.#delay === 0 ? firstMs : Math.min(this.#delay * 2, mostMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#delay).unref();
    this.#wake = () => {
      clearTimeout(timer);
      resolve();
    };
    return promise.finally(() => {
      this.#wake = undefined;
    });
  }
}
