import { pythonWithEngine, startEngine } from '../support/engine/engine.ts';
import { compareSequence, Difference } from '../support/engine/judge.ts';

/*
 * The stand-in beside Qdrant's own engine: random sequences of 24 operations, every answer compared.
 *
 *   npm run soak -- engine [SEQUENCES] [FIRST SEED]
 */

const [, , count = '400', first = '1'] = process.argv;
const python = pythonWithEngine();
if (python === undefined) {
  process.stderr.write('the engine is missing: .ci/programs installs qdrant-edge-py\n');
  process.exit(1);
}
const engine = startEngine(python);
const tally = { asked: 0, refused: 0, found: 0 };
let differences = 0;
for (let seed = Number(first); seed < Number(first) + Number(count); seed += 1) {
  try {
    await compareSequence(engine, seed, 24, tally);
  } catch (error) {
    if (!(error instanceof Difference)) throw error;
    differences += 1;
    process.stdout.write(`${error.message}\n\n`);
  }
}
await engine.close();
process.stdout.write(`${tally.asked} operations, ${tally.refused} refused by both, ${differences} differences\n`);
process.exitCode = differences === 0 ? 0 : 1;
