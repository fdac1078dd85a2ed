import t from 'tap';
import { pythonWithEngine, startEngine } from '../support/engine/engine.ts';
import { compareSequence, Difference, type Tally } from '../support/engine/judge.ts';
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
