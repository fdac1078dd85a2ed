import { createInspector } from '../../src/grpc/message/inspect.ts';
import { resolveGrpc } from '../../src/grpc/resolve.ts';
import { DepthMeter } from '../../src/json/depth.ts';
import { canNameNothing, inspectBody } from '../../src/rest/body/inspect.ts';
import { createResolver } from '../../src/rest/resolve.ts';
import { Draw } from '../support/generators/arbitraries.ts';
import { GROWING, type Growing } from '../support/generators/growth.ts';
import { grpcCase } from '../support/generators/grpc.ts';
import { restCase } from '../support/generators/rest.ts';

/*
 * A million generated requests through the resolvers and the body readers: none may throw, and no input may cost more
 * than its size. Not part of the test run. `node test/soak/resolve.soak.ts [requests] [seed]`
 */

const resolve = createResolver({ staticContent: true });
const NOBODY = { kind: 'list', modes: new Map() } as const;
const LIMITS = { maxDepth: 64 };

/** Durations in microseconds. */
class Durations {
  readonly #all: Float64Array;
  #count = 0;

  constructor(most: number) {
    this.#all = new Float64Array(most);
  }

  time<T>(step: () => T): T {
    const start = performance.now();
    const made = step();
    this.#all[this.#count] = (performance.now() - start) * 1000;
    this.#count += 1;
    return made;
  }

  /** One line: how many, and the percentiles. */
  line(what: string): string {
    const sorted = this.#all.subarray(0, this.#count).sort();
    const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1);
    return `${what.padEnd(14)} ${String(this.#count).padStart(8)}  p50 ${at(0.5)} us  p99 ${at(0.99)} us  p99.9 ${at(0.999)} us  max ${at(1)} us`;
  }
}

function soak(requests: number, seed: number): string[] {
  const times = {
    'rest resolve': new Durations(requests),
    'rest scan': new Durations(requests),
    'grpc resolve': new Durations(requests),
    'grpc scan': new Durations(requests),
  };
  for (let i = 0; i < requests; i += 1) {
    const draw = new Draw({ seed: seed + i * 0x9e37, length: 50 + (i % 600) });
    if (i % 2 === 0) {
      const { method, target, text } = restCase(draw);
      const { operation } = times['rest resolve'].time(() => resolve(method, target));
      const body = Buffer.from(text ?? '');
      times['rest scan'].time(() => scanJson(operation.inspect, body));
    } else {
      const { path, stream, encoding } = grpcCase(draw);
      const { operation } = times['grpc resolve'].time(() => resolveGrpc(path));
      times['grpc scan'].time(() => {
        const inspector = createInspector(operation, { encoding });
        inspector.push(stream);
        inspector.end();
        return inspector.found(NOBODY);
      });
    }
  }
  return Object.entries(times).map(([what, durations]) => durations.line(what));
}

function scanJson(name: Parameters<typeof inspectBody>[0] | undefined, body: Buffer): unknown {
  if (name === undefined || canNameNothing(body)) return new DepthMeter(LIMITS.maxDepth).push(body);
  return inspectBody(name, body, LIMITS);
}

const SMALL = 1 << 16;
const FACTOR = 8;
/** Eight times the size may take this many times as long: linear, and room for caches and the collector. */
const MOST = FACTOR * 3;

/** The best of several runs, in milliseconds. */
function best(step: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 5; run += 1) {
    const start = performance.now();
    step();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

function grow({ what, prepare }: Growing): { line: string; linear: boolean } {
  const small = best(prepare(SMALL));
  const large = best(prepare(SMALL * FACTOR));
  // What is refused at its start takes no time at either size.
  const linear = large < 1 || large / small < MOST;
  const figures = `${small.toFixed(2)} ms at 64 KiB, ${large.toFixed(2)} ms at 512 KiB`;
  return { line: `${linear ? 'linear    ' : 'NOT LINEAR'} ${what}: ${figures}`, linear };
}

const [requests = '1000000', seed = '1'] = process.argv.slice(2);
const start = performance.now();
const lines = soak(Number(requests), Number(seed));
const total = ((performance.now() - start) / 1000).toFixed(1);
const grown = GROWING.map(grow);
process.stdout.write(
  `${[
    `${requests} generated requests (seed ${seed}) resolved and scanned without a fault in ${total} s, making them included`,
    ...lines,
    ...grown.map(({ line }) => line),
  ].join('\n')}\n`,
);
if (!grown.every(({ linear }) => linear)) process.exitCode = 1;
