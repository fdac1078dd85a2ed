import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Test } from 'tap';
import { Draw } from '../support/generators/arbitraries.ts';

/*
 * The runner that every fuzzer shares. A fuzzer lives in `test/fuzz/NAME.ts` and exports `fuzzer`; `main.ts` runs it for as
 * long as one likes, `NAME.test.ts` shortly (`shortRun`). What it once found stands in `corpus/NAME.json`.
 */

/** Random choices of one script: the same seed gives the same choices on every machine. */
export class Choices {
  readonly #draw: Draw;

  constructor(seed: number) {
    this.#draw = new Draw({ seed, length: Number.MAX_SAFE_INTEGER });
  }

  /** A whole number from 0 up to but not including `bound`. */
  below(bound: number): number {
    return this.#draw.below(bound);
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.#draw.below(most - least + 1);
  }

  /** True with the probability `share`, 0 to 1. */
  chance(share: number): boolean {
    return this.#draw.below(1_000_000) < share * 1_000_000;
  }

  /** One of them. Throws for an empty list. */
  of<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError('nothing to choose from');
    return list[this.#draw.below(list.length)] as T;
  }

  /** One of the values, each as often as its weight says. */
  weighted<T>(entries: readonly (readonly [weight: number, value: T])[]): T {
    let at = this.#draw.below(entries.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of entries) {
      at -= weight;
      if (at < 0) return value;
    }
    throw new RangeError('nothing to choose from');
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
}

/**
 * What can be fuzzed. A script is plain data (JSON) that says everything of one case, so that a finding can be kept in the
 * corpus and still means the same when the generator has changed.
 */
export interface Fuzzer<S> {
  readonly name: string;
  /** One sentence: what is sent, and to what. */
  readonly about: string;
  /** Makes a script. Must depend on nothing but `choices`. */
  make(choices: Choices): S;
  /** Simpler scripts of the same kind, the simplest first; a finding is reduced with them. */
  simpler?(script: S): Iterable<S>;
  /** Starts what scripts run against. */
  open(): Promise<FuzzSession<S>>;
}

export interface FuzzSession<S> {
  /** Runs a script and looks at what has come of it. Rejects with what is wrong. */
  run(script: S): Promise<void>;
  /** After each round: everything is at rest. Rejects when something is left over. */
  rest?(): Promise<void>;
  close(): Promise<void>;
}

export interface FuzzOptions {
  readonly seed: number;
  /** Scripts to run. */
  readonly count: number;
  /** The first script's number; a finding names its own, so that it can be run alone. Default 0. */
  readonly from?: number;
  /** Told after each round. */
  readonly progress?: (told: Progress) => void;
}

export interface Progress {
  readonly done: number;
  readonly count: number;
  /** Memory that is in use after a collection, in MiB. */
  readonly megabytes: number;
}

/** What was wrong, and with which script. */
export class Finding extends Error {
  readonly script: unknown;
  readonly number: number;

  constructor(name: string, seed: number, number: number, script: unknown, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`${reason} (npm run fuzz -- ${name} --seed ${seed} --from ${number} --count 1)`, { cause });
    this.name = 'Finding';
    this.script = script;
    this.number = number;
  }
}

/** Rounds of a run: memory is compared over them. */
const ROUNDS = 20;
/** Rounds in which caches fill and code is compiled. */
const WARM_UP = 8;
const SMALLEST_ROUND = 200;
/** Growth (MiB) of the lows that is within what a process does by itself. */
const SLACK_MB = 8;
/** Attempts at a simpler script. */
const ATTEMPTS = 300;

/** Runs scripts one after the other. Throws a `Finding` at the first that something is wrong with. */
export async function fuzz<S>(fuzzer: Fuzzer<S>, options: FuzzOptions): Promise<void> {
  const { seed, count, from = 0, progress } = options;
  const round = Math.max(SMALLEST_ROUND, Math.ceil(count / ROUNDS));
  const lows: number[] = [];
  const session = await fuzzer.open();
  try {
    for (let done = 0; done < count; ) {
      const end = Math.min(count, done + round);
      for (; done < end; done += 1) {
        const script = fuzzer.make(new Choices(seedOf(seed, from + done)));
        await attempt(fuzzer, session, script, seed, from + done);
      }
      await session.rest?.();
      const megabytes = await keptMegabytes();
      lows.push(megabytes);
      progress?.({ done, count, megabytes });
    }
    checkMemory(lows);
  } finally {
    await session.close();
  }
}

/** Runs the scripts that once found something. Returns how many there are. */
export async function replay<S>(fuzzer: Fuzzer<S>): Promise<number> {
  const kept = corpusOf<S>(fuzzer.name);
  if (kept.length === 0) return 0;
  const session = await fuzzer.open();
  try {
    for (const { what, script } of kept) {
      await session.run(script).catch((error: unknown) => {
        throw new Error(`${what}: ${String(error)}`, { cause: error });
      });
    }
    await session.rest?.();
  } finally {
    await session.close();
  }
  return kept.length;
}

/** The simplest script that still goes wrong, and how. Each attempt has a session of its own. */
export async function reduce<S>(fuzzer: Fuzzer<S>, script: S): Promise<{ readonly script: S; readonly why: string }> {
  let best = script;
  let why = (await wrongWith(fuzzer, script)) ?? 'does not go wrong alone';
  const kind = kindOf(why);
  let left = ATTEMPTS;
  for (let smaller = true; smaller && left > 0; ) {
    smaller = false;
    for (const next of fuzzer.simpler?.(best) ?? []) {
      left -= 1;
      if (left <= 0) break;
      const wrong = await wrongWith(fuzzer, next);
      if (wrong === undefined || kindOf(wrong) !== kind) continue;
      best = next;
      why = wrong;
      smaller = true;
      break;
    }
  }
  return { script: best, why };
}

/** The test of a fuzzer within `npm test`: its corpus, and `count` scripts of a fixed seed. */
export function shortRun<S>(t: Test, fuzzer: Fuzzer<S>, count: number, seed = 1): void {
  t.test(`${fuzzer.about}: what was once found stays mended`, async (t) => {
    t.pass(`${await replay(fuzzer)} scripts`);
  });
  t.test(`${fuzzer.about}: nothing is found in ${count} scripts of seed ${seed}`, async (t) => {
    try {
      await fuzz(fuzzer, { seed, count });
      t.pass('nothing');
    } catch (error) {
      t.fail(String(error), error instanceof Finding ? { script: JSON.stringify(error.script), error } : { error });
    }
  });
}

/** A script without one of the parts of `parts`, or with halves of them left out: for `simpler` of a list of steps. */
export function* fewer<T>(parts: readonly T[]): Generator<T[]> {
  for (let size = Math.ceil(parts.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < parts.length; at += size) yield [...parts.slice(0, at), ...parts.slice(at + size)];
  }
}

interface Kept<S> {
  /** A sentence: what went wrong. */
  readonly what: string;
  readonly script: S;
}

function corpusOf<S>(name: string): readonly Kept<S>[] {
  const file = join(import.meta.dirname, 'corpus', `${name}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as readonly Kept<S>[]) : [];
}

async function attempt<S>(
  fuzzer: Fuzzer<S>,
  session: FuzzSession<S>,
  script: S,
  seed: number,
  number: number,
): Promise<void> {
  try {
    await session.run(script);
  } catch (error) {
    throw new Finding(fuzzer.name, seed, number, script, error);
  }
}

async function wrongWith<S>(fuzzer: Fuzzer<S>, script: S): Promise<string | undefined> {
  const session = await fuzzer.open();
  try {
    await session.run(script);
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    await session.close();
  }
}

/** Findings of one kind differ in numbers only. */
function kindOf(why: string): string {
  return why.replace(/\d+/g, '0').slice(0, 60);
}

/** Neighbouring numbers give unlike scripts. */
function seedOf(seed: number, number: number): number {
  return Math.imul(seed, 0x9e37_79b1) ^ Math.imul(number + 1, 0x85eb_ca6b);
}

let collect: (() => void) | undefined;

async function keptMegabytes(): Promise<number> {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  for (let i = 0; i < 2; i += 1) {
    collect();
    // Buffers are let go of beside, and finalizers run between two turns.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / (1 << 20);
}

/** The lows of the first rounds and of the last ones, the warm-up left out. */
function checkMemory(lows: readonly number[]): void {
  const warm = lows.slice(WARM_UP);
  if (warm.length < 6) return;
  const third = Math.floor(warm.length / 3);
  const before = Math.min(...warm.slice(0, third));
  const after = Math.min(...warm.slice(-third));
  if (after > before + SLACK_MB) {
    throw new Error(`memory grows: ${before.toFixed(1)} MiB, later ${after.toFixed(1)} MiB`);
  }
}
