import type { Operation } from './operation.ts';
import type { AccessSettings, RuleSettings } from './settings.ts';

/**
 * Learning: what callers were seen to do, and the smallest rules that cover it. Pure; plain data goes in and comes out, so
 * that what several processes saw can be put together.
 */

/** One request that was carried out. */
export interface Seen {
  readonly caller: Caller;
  readonly operation: Operation;
  /** The collection it was aimed at, if it was aimed at one. */
  readonly target: string | undefined;
  /** Others that its body named. */
  readonly others: readonly string[];
  /** Milliseconds since 1970. */
  readonly at: number;
}

/**
 * Who asked: a key id and a subject (empty = none), as rules name callers. Who was let in only because nothing is enforced
 * while learning has no key: `nobody` came without a credential, `unknown` with one that is not accepted.
 */
export type Caller =
  | { readonly kind: 'principal'; readonly keyId: string; readonly subject: string }
  | { readonly kind: 'nobody' | 'unknown' };

/** What was needed of one collection. */
interface Need {
  readonly write: boolean;
  readonly extras: boolean;
  readonly count: number;
}

/** How much has to be allowed on every collection at once. */
type GlobalNeed = 'none' | 'r' | 'm';

/** Everything one caller was seen to do. */
export interface LearnedCaller {
  readonly caller: Caller;
  readonly count: number;
  /** Milliseconds since 1970, of the first and the last request. */
  readonly first: number;
  readonly last: number;
  readonly operations: readonly (readonly [name: string, count: number])[];
  readonly collections: readonly (readonly [name: string, need: Need])[];
  readonly global: GlobalNeed;
  /** More collections than are remembered: the list is not complete, `global` covers it. */
  readonly overflow: boolean;
}

/** Everything that was learned. */
export interface Learned {
  readonly callers: readonly LearnedCaller[];
  /** Requests of callers beyond those that are remembered. */
  readonly missed: number;
}

/** Nothing yet. */
export const NOTHING_LEARNED: Learned = Object.freeze({ callers: Object.freeze([]), missed: 0 });

/** Callers, and collections of each, that are remembered. */
const MAX_CALLERS = 500;
const MAX_COLLECTIONS = 500;

/** Collects what is seen. Bounded, whatever comes. */
export class Learner {
  readonly #callers = new Map<string, CallerNotes>();
  #missed = 0;

  see(seen: Seen): void {
    const key = keyOf(seen.caller);
    let notes = this.#callers.get(key);
    if (!notes) {
      if (this.#callers.size >= MAX_CALLERS) {
        this.#missed += 1;
        return;
      }
      notes = new CallerNotes(seen.caller, seen.at);
      this.#callers.set(key, notes);
    }
    notes.see(seen);
  }

  snapshot(): Learned {
    return { callers: [...this.#callers.values()].map((notes) => notes.snapshot()), missed: this.#missed };
  }
}

/** What several processes learned, together. */
export function mergeLearned(parts: readonly Learned[]): Learned {
  const callers = new Map<string, CallerNotes>();
  let missed = 0;
  for (const part of parts) {
    missed += part.missed;
    for (const one of part.callers) {
      const key = keyOf(one.caller);
      const notes = callers.get(key) ?? new CallerNotes(one.caller, one.first);
      callers.set(key, notes);
      notes.add(one);
    }
  }
  return { callers: [...callers.values()].map((notes) => notes.snapshot()), missed };
}

function keyOf(caller: Caller): string {
  return caller.kind === 'principal' ? JSON.stringify([caller.keyId, caller.subject]) : caller.kind;
}

class CallerNotes {
  readonly #caller: Caller;
  readonly #operations = new Map<string, number>();
  readonly #collections = new Map<string, Need>();
  #global: GlobalNeed = 'none';
  #overflow = false;
  #count = 0;
  #first: number;
  #last: number;

  constructor(caller: Caller, at: number) {
    this.#caller = caller;
    this.#first = at;
    this.#last = at;
  }

  see({ operation, target, others, at }: Seen): void {
    this.#pass(1, at, at);
    this.#operation(operation.name, 1);
    const { scope, level, extras } = operation.requires;
    if (operation.unlisted) this.#widen('m');
    if (scope === 'global') this.#widen(level === 'read' ? 'r' : 'm');
    if (scope !== 'collection') return;
    if (level === 'manage') this.#widen('m');
    const write = level !== 'read';
    // A name that was not found out may be any.
    if (target === undefined) this.#widen(write ? 'm' : 'r');
    else this.#collection(target, { write, extras, count: 1 });
    for (const name of others) this.#collection(name, { write: false, extras: false, count: 1 });
  }

  add(other: LearnedCaller): void {
    this.#pass(other.count, other.first, other.last);
    for (const [name, count] of other.operations) this.#operation(name, count);
    for (const [name, need] of other.collections) this.#collection(name, need);
    this.#widen(other.global);
    this.#overflow ||= other.overflow;
  }

  snapshot(): LearnedCaller {
    return {
      caller: this.#caller,
      count: this.#count,
      first: this.#first,
      last: this.#last,
      operations: [...this.#operations],
      collections: [...this.#collections],
      global: this.#global,
      overflow: this.#overflow,
    };
  }

  #pass(count: number, first: number, last: number): void {
    this.#count += count;
    this.#first = Math.min(this.#first, first);
    this.#last = Math.max(this.#last, last);
  }

  #operation(name: string, count: number): void {
    this.#operations.set(name, (this.#operations.get(name) ?? 0) + count);
  }

  #collection(name: string, need: Need): void {
    if (name === '') return; // no collection has this name
    const known = this.#collections.get(name);
    if (!known && this.#collections.size >= MAX_COLLECTIONS) {
      this.#overflow = true;
      this.#widen(need.write ? 'm' : 'r');
      return;
    }
    this.#collections.set(name, {
      write: need.write || known?.write === true,
      extras: need.extras || known?.extras === true,
      count: need.count + (known?.count ?? 0),
    });
  }

  #widen(need: GlobalNeed): void {
    if (need === 'm' || this.#global === 'none') this.#global = need;
  }
}

/** The smallest access, in the letters of a token, that covers what a caller was seen to do. */
export function accessOf({ global, collections }: LearnedCaller): AccessSettings {
  const writes = collections.some(([, { write }]) => write);
  // Global reading writes nothing, and a list opens nothing global: both together take `m`.
  if (global === 'm' || (global === 'r' && writes)) return 'm';
  if (global === 'r') return 'r';
  return collections.map(([collection, need]) => ({ collection, access: letterOf(need) }));
}

/** Upstream: `prw` writes points and nothing else of the collection, `r` and `rw` reach the rest of it, too. */
function letterOf({ write, extras }: Need): 'r' | 'rw' | 'prw' {
  if (!write) return 'r';
  return extras ? 'rw' : 'prw';
}

/** The rule that allows a caller what it was seen to do and nothing else. `undefined` for callers without a key. */
export function ruleFrom(learned: LearnedCaller, id: string): RuleSettings | undefined {
  const { caller, operations } = learned;
  if (caller.kind !== 'principal') return undefined;
  return {
    id,
    mode: 'enforce',
    keys: [caller.keyId],
    subjects: [caller.subject],
    access: accessOf(learned),
    operations: operations.map(([name]) => name),
  };
}
