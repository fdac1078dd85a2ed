import t from 'tap';
import { ClientTimes } from '../../../src/rest/relay/client-times.ts';

const HEADER_MS = 10;
const KEEP_ALIVE_MS = 20;
const IDLE_MS = 40;
const BODY_MS = 80;
const LONGER_THAN_ALL = 200;
const START = 1_000;

const LIMITS = {
  header_timeout_ms: HEADER_MS,
  keep_alive_timeout_ms: KEEP_ALIVE_MS,
  stream_idle_timeout_ms: IDLE_MS,
  body_idle_timeout_ms: BODY_MS,
};
const KNOWN = { principal: 'a' };

/** The times of a connection that was opened at `START`, 5 ms ago. */
function timesOf(): { readonly times: ClientTimes; readonly clock: { now: number } } {
  const clock = { now: START };
  const times = new ClientTimes({ clock, options: { limits: LIMITS } });
  clock.now += 5;
  return { times, clock };
}

/** Milliseconds after `START` when the time runs out; `undefined` = none runs. */
function runsOut(times: ClientTimes): number | undefined {
  for (let after = 0; after <= LONGER_THAN_ALL; after++) if (times.expire(START + after)) return after;
  return undefined;
}

const cases: readonly (readonly [name: string, come: (times: ClientTimes) => void, at: number | undefined])[] = [
  ['a new connection has the time of a head', () => undefined, HEADER_MS],
  ['the first bytes of its head give it no more', (times) => times.awaitHead(), HEADER_MS],
  ['a request ends it', (times) => times.clear(), undefined],
  ['between two requests the keep-alive time runs', (times) => times.awaitRequest(), 5 + KEEP_ALIVE_MS],
  [
    'the next head has a time of its own',
    (times) => {
      times.awaitRequest();
      times.awaitHead();
    },
    5 + HEADER_MS,
  ],
  ['a body has the idle time of bodies', (times) => times.awaitBody(KNOWN), 5 + BODY_MS],
  ['the rest of a body has the time it is given', (times) => times.awaitRest(START + 7), 7],
  ['an ending connection has the idle time', (times) => times.awaitEnd(), 5 + IDLE_MS],
  ['a connection that is over has none', (times) => times.stop(), undefined],
];
for (const [name, come, at] of cases) {
  t.test(name, async (t) => {
    const { times } = timesOf();
    come(times);
    t.equal(runsOut(times), at);
    t.equal(runsOut(times), undefined, 'it runs out once');
  });
}

t.test('an idle client has more time as long as it takes of its last answer', async (t) => {
  const { times, clock } = timesOf();
  times.awaitRequest();
  t.equal(runsOut(times), 5 + KEEP_ALIVE_MS);
  t.equal(times.goOnTaking(700), true, 'there are bytes it has not taken');
  t.equal(runsOut(times), 5 + IDLE_MS);
  clock.now += IDLE_MS;
  t.equal(times.goOnTaking(600), true, 'they have become fewer');
  t.equal(runsOut(times), 5 + 2 * IDLE_MS);
  t.equal(times.goOnTaking(600), false, 'they have not');
  t.equal(runsOut(times), undefined);
});

t.test('an idle client that has taken all of its last answer has no more time', async (t) => {
  const { times } = timesOf();
  times.awaitRequest();
  t.equal(times.goOnTaking(0), false);
});

t.test(
  'a client that takes nothing has a time beside the other, until it takes or its connection is over',
  async (t) => {
    const { times } = timesOf();
    t.equal(times.awaitsDrain, false);
    times.awaitDrain();
    times.clear();
    t.equal(times.awaitsDrain, true);
    t.equal(times.isDrainOver(START + 5 + IDLE_MS - 1), false);
    t.equal(times.isDrainOver(START + 5 + IDLE_MS), true);
    times.drained();
    t.equal(times.isDrainOver(START + 5 + IDLE_MS), false);
    times.awaitDrain();
    times.stop();
    t.equal(times.awaitsDrain, false);
  },
);
