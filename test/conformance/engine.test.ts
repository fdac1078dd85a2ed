import t from 'tap';
import { pythonWithClient } from '../support/clients/python.ts';
import { pythonWithEngine, startEngine } from '../support/engine/engine.ts';
import { compareSequence, Difference, type Tally } from '../support/engine/judge.ts';
import { askLocal, askStandIn } from '../support/engine/local.ts';
import type { Json, JsonObject } from '../support/fake-qdrant/json.ts';
import { runs } from '../support/generators/runs.ts';
import { FILE_MS } from '../support/patience.ts';

/*
 * The stand-in is not its own judge: the same random points, writes and filters are given to Qdrant's engine, and both have to
 * answer alike. `npm run soak -- engine` does it at length.
 */

t.setTimeout(FILE_MS);

const OPERATIONS = 24;
const python = pythonWithEngine();

t.test(
  'the stand-in answers as the engine does',
  { skip: python ? false : 'no python with qdrant-edge-py', timeout: FILE_MS },
  async (t) => {
    const engine = startEngine(python ?? '');
    t.teardown(() => engine.close());
    const tally: Tally = { asked: 0, refused: 0, found: 0 };
    const first = Math.floor(Math.random() * 1_000_000);
    for (let seed = first; seed < first + runs(48); seed += 1) {
      await compareSequence(engine, seed, OPERATIONS, tally).catch((error: unknown) => {
        if (!(error instanceof Difference)) throw error;
        t.fail(error.message);
      });
    }
    t.comment(`${tally.asked} operations from seed ${first}, ${tally.refused} of them refused`);
    t.ok(tally.found > tally.asked / 2, 'most of them find something');
    t.ok(tally.refused > tally.asked / 50, 'some of them are refused');
  },
);

/* What the engine's binding does not have: booleans in conditions, and ids in queries. The client's local mode has them. */

const VALUES: Json[] = [true, false, 1, 0, 1.5, '1', 'true', '', [true, 'a'], [1, 2], [], null, { x: 1 }];
const POINTS: Json[] = VALUES.map((value, at) => ({ id: at + 1, vector: [1 - at / 64, at / 32], payload: { value } }));
const FILTERS: JsonObject[] = [
  ...[true, false, 1, 0, '1', 'true'].map((value) => ({ must: [{ key: 'value', match: { value } }] })),
  ...[true, 1, '1'].map((value) => ({ must_not: [{ key: 'value', match: { value } }] })),
  { must: [{ key: 'value', match: { any: [1, 2] } }] },
  { must: [{ key: 'value', match: { any: ['true', 'a'] } }] },
  { should: [{ key: 'value', match: { value: true } }, { has_id: [3, 99] }] },
];
const QUERIES: JsonObject[] = [
  { query: 1, limit: 5 },
  { query: { nearest: 4 }, limit: 3, offset: 1 },
  { query: { recommend: { positive: [1, 2], negative: [9] } }, limit: 5 },
  { query: { recommend: { positive: [1], negative: [9], strategy: 'best_score' } }, limit: 5 },
  { query: 2, limit: 5, filter: { must: [{ has_id: [1, 2, 3, 4] }] } },
  { prefetch: [{ query: 3, limit: 4 }], query: [1, 0], limit: 3 },
  { prefetch: [{ query: [0, 1], limit: 4, filter: { must_not: [{ has_id: [13] }] } }], query: [1, 0], limit: 9 },
];

const client = pythonWithClient();

t.test(
  'types and ids are those of the local mode of the client',
  { skip: client ? false : 'no python client' },
  async (t) => {
    const questions = [...FILTERS.map((filter) => ({ filter, limit: 100 })), ...QUERIES];
    const [judged, own] = [askLocal(client ?? '', POINTS, questions), askStandIn(POINTS, questions)];
    questions.forEach((question, at) => {
      t.strictSame(own[at], judged[at], JSON.stringify(question));
    });
  },
);
