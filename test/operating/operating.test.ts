import t from 'tap';
import { shortened } from '../support/generators/runs.ts';
import { operate } from './run.ts';

/** The whole of it at once, shortened; `operating.soak.ts` is the long one. */
for (const workers of [1, 2]) {
  t.test(`keys, certificates, policy and upstream change under load (workers ${workers})`, (test) =>
    operate(test, { seconds: 4, workers, pauseMs: shortened(0, 50) }),
  );
}
