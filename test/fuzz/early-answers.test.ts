import t from 'tap';
import { shortFuzzer } from './early-answers.ts';
import { shortRun } from './harness.ts';
import { missing, STRICT_CLIENTS } from './strict-clients.ts';

for (const client of STRICT_CLIENTS) {
  const reason = missing(client);
  t.test(`${client} reads early answers`, reason ? { skip: reason } : {}, async (t) => {
    t.pass('it is among the clients of the run');
  });
}

shortRun(t, shortFuzzer, 40);
