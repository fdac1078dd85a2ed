import fc from 'fast-check';
import t from 'tap';
import {
  type PacedCaller,
  RefusalPacing,
  RefusalSlots,
  type RefusedExchange,
} from '../../src/limits/refusal-pacing.ts';

/** A clock that only moves by hand, with its timers. */
class HandClock {
  now = 0;
  readonly #timers = new Map<object, { readonly at: number; readonly work: () => void }>();

  readonly later = (ms: number, work: () => void): NodeJS.Timeout => {
    const timer = setTimeout(() => undefined, 0);
    clearTimeout(timer);
    this.#timers.set(timer, { at: this.now + ms, work });
    return timer;
  };

  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.now = Math.max(this.now, due[1].at);
      due[1].work();
    }
    this.now = end;
  }
}

const GOOD: PacedCaller = { keyId: 'good', subject: undefined };
const TEAM: PacedCaller = { keyId: 'good', subject: 'team' };

function arena() {
  const clock = new HandClock();
  const pacing = new RefusalPacing(() => clock.now, clock.later);
  const refuse = (principal = GOOD, more: Partial<RefusedExchange> = {}) => {
    const exchange = { principal, ...more };
    const delay = pacing.refused(exchange);
    const one = { exchange, delay, answered: 0 };
    if (delay === 0) one.answered += 1;
    else {
      pacing.hold(exchange, delay, () => {
        one.answered += 1;
      });
    }
    return one;
  };
  return { clock, pacing, refuse };
}

const many = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

t.test('the first 200 refusals of a caller are answered at once, then 100 a second', async (t) => {
  const { refuse } = arena();
  const delays = many(205, refuse).map(({ delay }) => delay);
  t.same(delays.slice(0, 200), Array(200).fill(0));
  t.same(delays.slice(200), [10, 20, 30, 40, 50]);
  t.equal(refuse(TEAM).delay, 0, 'another subject of the same key has a pace of its own');
});

t.test('a caller that waits a second after each refusal is never delayed', async (t) => {
  const { clock, refuse } = arena();
  const delays = many(1000, () => {
    clock.pass(1000);
    return many(64, refuse).map(({ delay }) => delay);
  });
  t.same(new Set(delays.flat()), new Set([0]));
});

t.test('an answer waits for a second at most, and comes once', async (t) => {
  const { clock, pacing, refuse } = arena();
  const all = many(1000, refuse);
  t.equal(all.at(-1)?.delay, 1000);
  clock.pass(999);
  t.notSame(pacing.size, 0);
  clock.pass(1);
  t.same(
    all.map(({ answered }) => answered),
    Array(1000).fill(1),
  );
  t.equal(pacing.size, 0);
});

t.test('an answer comes before its client gives up', async (t) => {
  const { refuse } = arena();
  many(400, refuse);
  t.equal(refuse(GOOD, { patienceMs: 200 }).delay, 100);
  t.equal(refuse(GOOD, { patienceMs: 0.5 }).delay, 1);
  t.equal(refuse(GOOD, { patienceMs: 60_000 }).delay, 1000);
});

t.test(
  'wrong credentials of a connection wait in its places, and slow it down unless a known caller uses it',
  async (t) => {
    let slowed = 0;
    const { clock, pacing } = arena();
    const refusalSlots = new RefusalSlots({
      maxStreams: 100,
      slowDown() {
        slowed += 1;
      },
    });
    const guess = () => {
      const exchange = { principal: undefined, guesses: refusalSlots.guesses, refusalSlots };
      const delay = pacing.guessed(exchange);
      if (delay > 0) pacing.hold(exchange, delay, () => undefined);
      return delay;
    };
    clock.pass(60_000);
    const delays = many(110, guess);
    t.same(delays.slice(0, 50), Array(50).fill(0), 'a burst is answered at once');
    t.same(delays.slice(50, 53), [20, 40, 60], 'then 50 a second');
    t.equal(delays.slice(100).filter((delay) => delay > 0).length, 0, 'none has more than half of the streams');
    t.equal(slowed, 10, 'a connection of strangers alone is not read for a moment');
    refusalSlots.seen(GOOD, clock.now);
    t.equal(guess(), 0);
    t.equal(slowed, 10, 'one that a known caller uses is read');
    clock.pass(10_000);
    t.equal(refusalSlots.held, 0);
    t.equal(guess(), 0, 'the wrong ones are forgotten');
    pacing.close();
    t.same(new Set(many(200, guess)), new Set([0]), 'none waits when the process ends');
  },
);

t.test('waiting refusals have at most half of the streams of a connection', async (t) => {
  let slowed = 0;
  const { clock, pacing, refuse } = arena();
  const refusalSlots = new RefusalSlots({
    maxStreams: 100,
    slowDown() {
      slowed += 1;
    },
  });
  refusalSlots.seen(GOOD, 0);
  many(200, refuse);
  const all = many(60, () => refuse(GOOD, { refusalSlots }));
  t.equal(all.filter(({ delay }) => delay > 0).length, 50);
  t.equal(slowed, 10, 'a connection of one caller is not read for a moment');
  pacing.ended(all[0]?.exchange ?? {});
  t.equal(refusalSlots.held, 49, 'who leaves makes room');
  t.notSame(refuse(GOOD, { refusalSlots }).delay, 0);
  refusalSlots.seen(TEAM, clock.now);
  t.equal(refuse(GOOD, { refusalSlots }).delay, 0);
  t.equal(slowed, 10, 'one of several callers is read');
  clock.pass(10_000);
  t.equal(refusalSlots.held, 0);
  many(300, refuse);
  many(60, () => refuse(GOOD, { refusalSlots }));
  t.equal(slowed, 20, 'the other has not come for ten seconds');
});

t.test('a change of the policy answers all that wait, and the stop all that come', async (t) => {
  const { clock, pacing, refuse } = arena();
  many(200, refuse);
  const waiting = many(5, refuse);
  pacing.releaseAll();
  t.same(
    waiting.map(({ answered }) => answered),
    Array(5).fill(1),
  );
  t.notSame(refuse().delay, 0, 'the pace goes on');
  pacing.close();
  t.equal(pacing.size, 0);
  t.equal(refuse().delay, 0);
  clock.pass(5000);
  t.same(
    waiting.map(({ answered }) => answered),
    Array(5).fill(1),
    'none is answered again',
  );
});

const STEP = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('refuse' as const),
      count: fc.integer({ min: 1, max: 120 }),
      caller: fc.integer({ min: 0, max: 1 }),
      connection: fc.integer({ min: 0, max: 2 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 1500 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reload' as const) }) },
);

t.test('whatever comes: no refusal is lost or told twice, none before its time, and few wait', async (t) => {
  const STREAMS = 40;
  const holds = fc.property(fc.array(STEP, { maxLength: 60 }), (steps) => {
    const { clock, pacing, refuse } = arena();
    const callers = [GOOD, TEAM];
    // Two connections of HTTP/2, and one request on each of many connections of HTTP/1.1.
    const connections = [0, 1].map(() => new RefusalSlots({ maxStreams: STREAMS, slowDown: () => undefined }));
    const all: (ReturnType<typeof refuse> & { readonly at: number; left: boolean; seen: boolean })[] = [];
    let reloaded = false;
    const look = (): boolean =>
      connections.every(({ held }) => held >= 0 && held <= STREAMS / 2) &&
      pacing.size === all.filter(({ answered, left }) => answered === 0 && !left).length &&
      all.every((one) => {
        if (one.answered > 1 || (one.left && one.answered > 0)) return false;
        const early = one.answered === 1 && !one.seen && !reloaded && clock.now < one.at + one.delay;
        const late = one.answered === 0 && !one.left && clock.now >= one.at + one.delay;
        one.seen ||= one.answered === 1;
        return !early && !late;
      });
    for (const step of steps) {
      reloaded = step.kind === 'reload';
      if (step.kind === 'pass') clock.pass(step.ms);
      else if (step.kind === 'reload') pacing.releaseAll();
      else if (step.kind === 'leave') {
        const waiting = all.filter(({ answered, left }) => answered === 0 && !left);
        const one = waiting[step.which % Math.max(1, waiting.length)];
        if (one) {
          one.left = true;
          pacing.ended(one.exchange);
        }
      } else {
        const refusalSlots = connections[step.connection];
        const at = clock.now;
        for (let index = 0; index < step.count; index += 1) {
          const one = refuse(callers[step.caller], { refusalSlots });
          all.push(Object.assign(one, { at, left: false, seen: false }));
        }
      }
      if (!look()) return false;
    }
    clock.pass(1000);
    return look() && pacing.size === 0 && connections.every(({ held }) => held === 0);
  });
  t.doesNotThrow(() => fc.assert(holds, { numRuns: 200 }));
});

t.test('however many ask at once, a caller hears no more than its pace while it waits for its answers', async (t) => {
  for (const open of [1, 32, 100]) {
    const { clock, refuse } = arena();
    let answers = 0;
    const waiting = new Set<ReturnType<typeof refuse>>();
    for (let tick = 0; tick < 10_000; tick += 1) {
      for (const one of waiting) if (one.answered > 0) waiting.delete(one);
      while (waiting.size < open && answers < 100_000) {
        const one = refuse();
        answers += 1;
        if (one.answered === 0) waiting.add(one);
      }
      clock.pass(1);
    }
    t.ok(answers <= 200 + 10 * 100 + open, `${open} requests at once: ${answers}`);
  }
});
