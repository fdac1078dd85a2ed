import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Finding, type Fuzzer, fuzz, reduce, replay } from './harness.ts';

/*
 * Runs a fuzzer for as long as one likes:
 *   npm run fuzz -- NAME [--seed N] [--count M] [--from I] [--corpus] [--script FILE]
 * `--corpus` runs what was once found, `--script` one script from a file. Ends with 1 at the first finding, and prints the
 * simplest script that still shows it.
 */

const NAMES = [
  'client-frames',
  'rest-frames',
  'upstream-frames',
  'leavers',
  'pipelines',
  'early-answers',
  'node-frames',
  'broken-node',
  'spread-calls',
] as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '10000' },
    from: { type: 'string', default: '0' },
    corpus: { type: 'boolean', default: false },
    script: { type: 'string' },
  },
});

async function load(name: string | undefined): Promise<Fuzzer<unknown>> {
  const file = join(import.meta.dirname, `${name}.ts`);
  if (!NAMES.some((known) => known === name) || !existsSync(file)) {
    throw new RangeError(`name one of ${NAMES.filter((one) => existsSync(join(import.meta.dirname, `${one}.ts`)))}`);
  }
  const { fuzzer } = (await import(file)) as { fuzzer: Fuzzer<unknown> };
  return fuzzer;
}

const fuzzer = await load(positionals[0]);
const seed = Number(values.seed);
const begun = performance.now();
const seconds = (): string => `${((performance.now() - begun) / 1000).toFixed(0)} s`;
console.log(`${fuzzer.name}: ${fuzzer.about}`);
try {
  if (values.script) {
    const session = await fuzzer.open();
    await session.run(JSON.parse(readFileSync(values.script, 'utf8')));
    await session.rest?.();
    await session.close();
    console.log('nothing found in the script');
  } else if (values.corpus) {
    console.log(`nothing found in ${await replay(fuzzer)} scripts of the corpus`);
  } else {
    const count = Number(values.count);
    const progress = ({ done, megabytes }: { readonly done: number; readonly megabytes: number }): void =>
      console.log(`${done} of ${count}, ${seconds()}, ${megabytes.toFixed(1)} MiB`);
    await fuzz(fuzzer, { seed, count, from: Number(values.from), progress });
    console.log(`nothing found in ${count} scripts of seed ${seed}, ${seconds()}`);
  }
} catch (error) {
  process.exitCode = 1;
  if (!(error instanceof Finding)) console.error(error);
  else {
    console.error(error.message);
    console.error(error.cause);
    const { script, why } = await reduce(fuzzer, error.script);
    console.error(`reduced: ${why}\n${JSON.stringify(script)}`);
  }
}
