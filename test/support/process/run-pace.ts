import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { dirname } from 'node:path';

/*
 * How slow this machine is, and in which order the files run. All of it only decides how long a file may take and when
 * it starts: no verdict comes from here.
 */

/** Milliseconds that `fixedWork` takes on the machine the limit was written for. */
const REFERENCE_MS = 12;
const ROUNDS = 5;
const WORDS = 4000;
const HASHES = 12;

/** A piece of work of one processor that is the same everywhere: text, sorting, JSON and a digest. */
function fixedWork(): number {
  const words = Array.from({ length: WORDS }, (_, index) => `${(index * 7919) % WORDS}:${index}`);
  let text = JSON.stringify(words.sort());
  for (let round = 0; round < HASHES; round += 1) {
    text = createHash('sha256').update(text).digest('hex') + JSON.stringify(JSON.parse(JSON.stringify(words)));
  }
  return text.length;
}

/**
 * Times slower than the reference, 1 at least. The best of some rounds counts: what runs beside is not the machine's
 * speed, and stands in the load average.
 */
export function measurePace(now: () => number = () => performance.now()): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const began = now();
    fixedWork();
    return now() - began;
  });
  return Math.max(1, Math.min(...rounds) / REFERENCE_MS);
}

/** Times slower than the reference a process is now: a slow machine, and more work than it has processors. */
export function slownessNow(pace: number, load: number = loadavg()[0] ?? 0, cores = availableParallelism()): number {
  return pace * Math.max(1, load / Math.max(1, cores));
}

/**
 * The time of one file. What it has used up counts in seconds of the reference, so that it has twice as long where
 * everything takes twice as long.
 */
export class Allowance {
  readonly #limitMs: number;
  #usedMs = 0;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** Counts a span of the clock; true when all is used up. */
  use(elapsedMs: number, slowness: number): boolean {
    this.#usedMs += elapsedMs / Math.max(1, slowness);
    return this.#usedMs >= this.#limitMs;
  }
}

/** Seconds that files took when they ran last, by path. */
export type Durations = Readonly<Record<string, number>>;

/** Files that took longest when nothing has been recorded yet, longest first. */
const SLOWEST: readonly string[] = [
  'test/operating/operating.test.ts',
  'test/observability/blocked-log.test.ts',
  'test/hardening/bodies.test.ts',
  'test/revocation/redis-outage.test.ts',
  'test/hardening/http2.test.ts',
  'test/hardening/bad-link.test.ts',
  'test/e2e/drain.test.ts',
  'test/hardening/secrets.test.ts',
  'test/hardening/operation.test.ts',
  'test/gateway/workers/pool.test.ts',
  'test/conformance/conformance.test.ts',
  'test/e2e/concurrency.test.ts',
  'test/hardening/tls.test.ts',
  'test/property/rest.test.ts',
  'test/hardening/faults.test.ts',
  'test/revocation/file.test.ts',
  'test/hardening/fairness.test.ts',
  'test/property/config.test.ts',
  'test/property/grpc.test.ts',
  'test/e2e/web-ui.test.ts',
];
/** A file without a recorded time starts before the many short ones. */
const UNKNOWN_SECONDS = 8;

/** Files with the slowest first: what is started last ends soon, and all processors are used to the end. */
export function slowestFirst(files: readonly string[], seconds: Durations): string[] {
  const guess = (file: string): number => {
    const known = seconds[file];
    if (known !== undefined) return known;
    const place = SLOWEST.indexOf(file);
    return place === -1 ? UNKNOWN_SECONDS : 100 - place;
  };
  return [...files].sort((one, other) => guess(other) - guess(one) || (one < other ? -1 : 1));
}

/** What an earlier run wrote down; nothing where there is none. */
export function readDurations(path: string): Durations {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof parsed !== 'object' || parsed === null) return {};
    return Object.fromEntries(
      Object.entries(parsed).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
    );
  } catch {
    return {};
  }
}

/** Writes down what the files of this run took beside what is known of others. A folder that cannot be written to is no fault. */
export function recordDurations(path: string, seconds: Durations): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${JSON.stringify({ ...readDurations(path), ...seconds }, null, 1)}\n`);
  } catch {
    // The next run starts in the order of the list above.
  }
}
