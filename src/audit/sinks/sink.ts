import { setImmediate as setImmediatePromise } from 'node:timers/promises';
import type { AuditEvent } from '../event.ts';
import { Queue } from './queue.ts';

/** An event and its line, which all sinks share. */
export interface AuditEntry {
  readonly event: AuditEvent;
  /** One line of JSON, without its line break. */
  readonly line: string;
}

/** What became of entries that a destination was given. */
export interface Written {
  /** So many of the first ones are done with; the others come again. */
  readonly done: number;
  /** So many of those can never be written. */
  readonly lost?: number;
  /** It does not take more for now: a system error code or a few words. */
  readonly fault?: string;
}

/** Where the entries of a sink go. Never throws, never rejects; called again only when the last call has resolved. */
export interface Destination {
  readonly name: string;
  /** Takes entries in order. While it has not resolved, the destination takes nothing; it may never resolve. */
  write(entries: readonly AuditEntry[]): Promise<Written>;
  /** Hash of the newest line of its chain that is written; `undefined` = it keeps none, or there is no line. */
  head?(): string | undefined;
  /** Lets go of what is open, whether a write is under way or not. */
  close(): Promise<void> | void;
}

/** What a sink says of itself. */
export interface SinkSnapshot {
  readonly name: string;
  readonly written: number;
  /** Never to be written: the queue was full, or the destination can take it in no form. */
  readonly dropped: number;
  readonly queued: number;
  /** Why it does not take anything now; `undefined` = it does. */
  readonly fault: string | undefined;
}

/** Times in milliseconds. */
export interface SinkOptions {
  /** Entries that wait at most. */
  readonly capacity: number;
  /** Told when the destination stops taking entries, with why, and when it takes them again, without. */
  readonly changed: (name: string, fault: string | undefined) => void;
  /** Told when entries have left the queue. */
  readonly progressed: () => void;
  readonly retry?: { readonly firstMs: number; readonly mostMs: number };
}

const MAX_BATCH = 1024;
const RETRY = { firstMs: 50, mostMs: 2_000 };
/** A destination that takes nothing for this long while it is to be emptied is given up. */
const STUCK_MS = 2_000;

/** A bounded queue before a destination. Everything that is there when the loop comes round is one write. */
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

  /** @param keep also beyond the capacity; else a full queue counts the entry as dropped */
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

  /** Writes what waits for at most so long, then closes; gives how many were left, which count as dropped. */
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

  /** Until something has left the queue, or for so long. */
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
      // Requests come first: no more than one write in each turn.
      else await setImmediatePromise();
    }
    this.#running = false;
  }

  #note(fault: string | undefined): void {
    if (fault === this.#fault) return;
    this.#fault = fault;
    this.#options.changed(this.name, fault);
  }

  /** Waits longer from time to time, from the start again after some success. */
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
