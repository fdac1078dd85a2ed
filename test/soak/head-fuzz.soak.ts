import { fuzzHeads } from '../support/generators/head-fuzz.ts';

/*
 * Mutated requests to both lanes. Ends with an error at the first that breaks a rule; the seed repeats it.
 *   npm run soak -- head-fuzz [requests [seed]]
 */

const [requests = 200_000, seed = Date.now() % 1_000_000_007] = process.argv.slice(2).map(Number);
for (const relayed of [true, false]) {
  const began = performance.now();
  const tally = await fuzzHeads(relayed, requests / 2, seed, 200);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const lane = relayed ? 'both lanes' : 'Fastify lane';
  process.stdout.write(`${lane}: ${JSON.stringify(tally)} in ${seconds} s, seed ${seed}\n`);
}
