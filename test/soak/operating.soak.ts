import t from 'tap';
import { operate } from '../operating/run.ts';

/** `npm run soak -- operating`: a minute with one worker, a minute with two. */
t.setTimeout(600_000);
for (const workers of [1, 2]) {
  t.test(`a minute of changes under load (workers ${workers})`, { timeout: 300_000 }, (test) =>
    operate(test, { seconds: 60, workers, pauseMs: 0 }),
  );
}
