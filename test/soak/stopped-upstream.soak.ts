import t from 'tap';
import { stopAndGoOn, stoppableUpstream } from '../support/process/stopped-upstream.ts';

t.setTimeout(300_000);

for (const relay of ['true', 'false']) {
  t.test(`U6: upstream stopped for a minute (relay ${relay})`, async (test) => {
    const upstream = await stoppableUpstream({ QDRANT_GATEWAY__REST__RELAY: relay });
    test.teardown(() => upstream.close());
    await stopAndGoOn(test, upstream, 60_000);
  });
}
