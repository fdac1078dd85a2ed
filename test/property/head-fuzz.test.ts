import t from 'tap';
import { fuzzHeads } from '../support/generators/head-fuzz.ts';
import { FILE_MS } from '../support/patience.ts';

const REQUESTS = 2_000;
t.setTimeout(FILE_MS);

for (const relayed of [true, false]) {
  const lane = relayed ? 'both lanes' : 'the Fastify lane alone';
  t.test(
    `${lane}: ${REQUESTS} mutated requests: upstream sees what was decided on, in that form and once`,
    async (t) => {
      const tally = await fuzzHeads(relayed, REQUESTS, 20_261_125);
      t.ok(tally.plain > REQUESTS / 10 && tally.decided > REQUESTS / 5, JSON.stringify(tally));
      t.ok(tally.arrived > 100 && tally.permitted < tally.decided, JSON.stringify(tally));
    },
  );
}
