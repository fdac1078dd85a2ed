import type { DenialCode } from './denial-codes.ts';
import type { Operation } from './operation.ts';
import type { AccessSettings, RuleSettings } from './settings.ts';

/**
 * Learning: the operations that callers used, and the smallest rules that cover them. Pure; plain data goes in and out,
 * so that the results of several processes can be merged.
 */

/** One request that was forwarded. */
export interface Seen {
  readonly caller: Caller;
  readonly operation: Operation;
  /** The target collection, if there is one. */
  readonly target: string | undefined;
  /** Other collections named in the body. */
  readonly others: readonly string[];
  /** Milliseconds since 1970. */
  readonly at: number;
}

/**
 * The caller: a key id and a subject (empty = none), as rules name callers; or the code its credential is refused with once
 * the policy is enforced.
 */
export type Caller =
  | { readonly kind: 'principal'; readonly keyId: string; readonly subject: string }
  | { readonly kind: 'stranger'; readonly code: DenialCode };

/** Access that was needed on one collection. */
interface Need {
  readonly write: boolean;
  readonly extras: boolean;
  readonly count: number;
}

/** Access that was needed on all collections at once. */
type GlobalNeed = 'none' | 'r' | 'm';

/** All observed needs of one caller. */
export interface LearnedCaller {
  readonly caller: Caller;
  readonly count: number;
  /** First and last request, in milliseconds since 1970. */
  readonly first: number;
  readonly last: number;
  readonly operations: readonly (readonly [name: string, count: number])[];
  readonly collections: readonly (readonly [name: string, need: Need])[];
  readonly global: GlobalNeed;
  /** True = more collections than are kept: the list is incomplete, `global` covers the rest. */
  readonly overflow: boolean;
}

/** The complete result of learning. */
export interface Learned {
  readonly callers: readonly LearnedCaller[];
  /** Requests of callers beyond the limit. */
  readonly missed: number;
}

/** Nothing yet. */
export const NOTHING_LEARNED: Learned = Object.freeze({ callers: Object.freeze([]), missed: 0 });

/** Most callers, and most collections of one caller. */
const MAX_CALLERS = 500;
const MAX_COLLECTIONS = 500;

/** Collects observed requests. Bounded memory. */
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

/** Merges the results of several processes. */
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
  return caller.kind === 'principal' ? JSON.stringify([caller.keyId, caller.subject]) : caller.code;
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
    // An unknown name stands for any collection.
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

/** The smallest access, in the letters of a token, that covers the observed needs of a caller. */
export function accessOf({ global, collections }: LearnedCaller): AccessSettings {
  const writes = collections.some(([, { write }]) => write);
  // Global reading writes nothing, and a list opens nothing global: both together take `m`.
  if (global === 'm' || (global === 'r' && writes)) return 'm';
  if (global === 'r') return 'r';
  // A `*` would make the name a pattern, which permits more. Qdrant creates no collection with one in its name.
  const exact = collections.filter(([collection]) => !collection.includes('*'));
  return exact.map(([collection, need]) => ({ collection, access: letterOf(need) }));
}

/** Upstream: `prw` writes points and nothing else of the collection; `r` and `rw` also cover the rest. */
function letterOf({ write, extras }: Need): 'r' | 'rw' | 'prw' {
  if (!write) return 'r';
  return extras ? 'rw' : 'prw';
}

/** The rule that permits the observed operations of a caller and no others. `undefined` for callers without a key. */
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
