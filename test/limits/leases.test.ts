import fc from 'fast-check';
import t from 'tap';
import { LeaseLedger } from '../../src/limits/lease-ledger.ts';
import type { LeaseAnswer, LeaseAsk, LeasedTokens, LeaseTurn } from '../../src/limits/leases.ts';
import { PERIOD_MS, type Quota } from '../../src/policy/limits/limits.ts';
import { runs } from '../support/generators/runs.ts';

/* Amounts that several processes share, on a clock of the test: how far they overshoot, and what they do without the bucket. */

const FOR_ALL_MS = 2;

/** Several processes over one bucket, which behaves as the script in Redis does. */
function scene(holders: number, quota: Quota) {
  let now = 0;
  let away = false;
  let losing = false;
  const last = new Map<string, { readonly turn: number; readonly answer: LeaseAnswer }>();
  let exchanges = 0;
  const timers: { readonly at: number; readonly work: () => void }[] = [];
  const later = (ms: number, work: () => void): void => void timers.push({ at: now + ms, work });
  const bucket = { level: quota.most, at: 0 };
  const serve = ({ used, back, want, need }: LeaseAsk) => {
    const filled = bucket.level + ((now - bucket.at) * quota.most) / PERIOD_MS[quota.per];
    bucket.at = now;
    bucket.level = Math.min(quota.most, Math.min(quota.most, filled) + back) - used;
    const granted = want > 0 && bucket.level >= need ? Math.min(want, Math.max(need, Math.floor(bucket.level / 2))) : 0;
    bucket.level -= granted;
    return { granted, level: bucket.level };
  };
  const once = (asks: readonly LeaseAsk[], { asker, turn }: LeaseTurn): LeaseAnswer => {
    const known = last.get(asker);
    const answer = known?.turn === turn ? known.answer : { grants: asks.map(serve), holders };
    last.set(asker, { turn, answer });
    return answer;
  };
  const exchange = async (asks: readonly LeaseAsk[], turn?: LeaseTurn): Promise<LeaseAnswer> => {
    exchanges += 1;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    later(FOR_ALL_MS, () => (away ? reject(new Error('away')) : resolve()));
    await promise;
    if (!turn) throw new TypeError('an exchange without a turn');
    const answer = once(asks, turn);
    if (losing) throw new Error('the answer is lost');
    return answer;
  };
  const processes: LeasedTokens[] = Array.from({ length: holders }, () =>
    new LeaseLedger({ exchange, holders: () => holders, now: () => now, later }).open('a', 'requests', quota),
  );
  const taken: { readonly at: number; readonly amount: number }[] = [];
  return {
    taken,
    bucket,
    exchanges: () => exchanges,
    go: (gone: boolean) => {
      away = gone;
    },
    /** Exchanges are served, and their answers are lost. */
    lose: (lost: boolean) => {
      losing = lost;
    },
    /** True = let pass. */
    take: (at: number, amount = 1): boolean => {
      const tokens = processes[at % holders];
      if (!tokens || tokens.wait(amount, now) > 0) return false;
      tokens.take(amount, now);
      taken.push({ at: now, amount });
      return true;
    },
    waitOf: (at: number, amount = 1) => processes[at]?.wait(amount, now),
    left: (at: number) => processes[at]?.left(now),
    settle: (at: number, before: number, after: number) => processes[at]?.settle(before, after, now),
    isFull: (at: number) => processes[at]?.isFull(now),
    level: (at: number) => processes[at]?.level(now) ?? Number.NaN,
    forgive: (at: number, amount: number) => processes[at]?.forgive(amount, now),
    pass: async (ms: number): Promise<void> => {
      for (const end = now + ms; now < end; ) {
        now += 1;
        const due = timers.filter(({ at }) => at <= now);
        for (const timer of due) timers.splice(timers.indexOf(timer), 1);
        for (const { work } of due) work();
        // What follows an exchange takes some turns of promises.
        if (due.length > 0) for (let turns = 0; turns < 6; turns += 1) await Promise.resolve();
      }
    },
  };
}

const sum = (taken: readonly { readonly amount: number }[]): number =>
  taken.reduce((all, { amount }) => all + amount, 0);

/** The most that may pass in a span: the quota, what flows in, and once the share (or the largest request) of each process. */
function overshoots(taken: readonly { at: number; amount: number }[], quota: Quota, holders: number): boolean {
  const largest = Math.max(1, ...taken.map(({ amount }) => amount));
  const extra = holders * Math.max(quota.most / holders, largest);
  return taken.some(({ at: from }, first) => {
    let all = 0;
    return taken.slice(first).some(({ at, amount }) => {
      all += amount;
      return all > quota.most + extra + ((at - from) * quota.most) / PERIOD_MS[quota.per] + 0.01;
    });
  });
}

const step = fc.record({
  after: fc.oneof(fc.constant(0), fc.nat(40), fc.nat(3000)),
  at: fc.nat(2),
  amount: fc.integer({ min: 1, max: 6 }),
  burst: fc.integer({ min: 1, max: 12 }),
  away: fc.option(fc.boolean(), { nil: undefined, freq: 6 }),
});

t.test('no span of time has more than is stated, with and without the bucket', async () => {
  const periods = fc.constantFrom<Quota['per']>('second', 'minute');
  await fc.assert(
    fc.asyncProperty(
      ...([periods, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 3 })] as const),
      fc.array(step, { maxLength: 30 }),
      async (per, most, holders, steps) => {
        const one = scene(holders, { per, most });
        for (const { after, at, amount, burst, away } of steps) {
          await one.pass(after);
          if (away !== undefined) one.go(away);
          for (let times = 0; times < burst; times += 1) one.take(at, amount);
        }
        return !overshoots(one.taken, { per, most }, holders);
      },
    ),
    { numRuns: runs(200) },
  );
});

t.test('under steady load the sum is the quota, however it is spread, and few exchanges carry it', async (t) => {
  for (const [name, spread] of [
    ['evenly', (tick: number) => tick],
    ['to one process', () => 0],
    ['nine of ten to one', (tick: number) => (tick % 10 === 0 ? 1 : 0)],
  ] as const) {
    const quota = { per: 'second', most: 100 } as const;
    const one = scene(2, quota);
    // Five times what is permitted.
    for (let tick = 0; tick < 10_000; tick += 1) {
      if (tick % 2 === 0) one.take(spread(tick / 2));
      await one.pass(1);
    }
    const passed = sum(one.taken);
    t.ok(passed >= 1000 && passed <= 1200, `${name}: ${passed} of 1000 and a first 100`);
    t.ok(one.exchanges() < 1100, `${name}: ${one.exchanges()} exchanges for 5000 requests`);
  }
  const light = scene(2, { per: 'second', most: 1000 });
  for (let tick = 0; tick < 5000; tick += 1) {
    light.take(tick);
    await light.pass(2);
  }
  t.equal(sum(light.taken), 5000, 'half of the quota is never refused');
  t.ok(light.exchanges() < 500, `${light.exchanges()} exchanges for 5000 requests`);
});

t.test('what a burst of one process uses, the other does not have; and back after a rest', async (t) => {
  const one = scene(2, { per: 'minute', most: 60 });
  for (let times = 0; times < 500; times += 1) {
    one.take(0);
    await one.pass(times % 10 === 0 ? 1 : 0);
  }
  await one.pass(50);
  const first = sum(one.taken);
  t.ok(first >= 58 && first <= 60, `${first} of 60 by one process`);
  while (one.take(1));
  await one.pass(30);
  t.ok(sum(one.taken) <= 60 + 30 + 1, `${sum(one.taken)}: its share at most, before it knows`);
  t.equal(one.take(1), false);
  const wait = one.waitOf(1) ?? 0;
  t.ok(wait > 20_000, `the wait is that of the common debt: ${wait} ms`);
  t.equal(one.left(1), 0);
  await one.pass(130_000);
  t.equal(one.take(1), true);
});

t.test('leases that are not used are given back', async (t) => {
  const one = scene(2, { per: 'minute', most: 600 });
  for (let times = 0; times < 100; times += 1) {
    one.take(0);
    await one.pass(10);
  }
  const held = 600 + 10 - sum(one.taken) - one.bucket.level;
  t.ok(held > 5, `${held} are leased`);
  await one.pass(90_000);
  t.ok(one.bucket.level > 600 - sum(one.taken) - 1, 'none is');
  t.equal(one.isFull(0), true);
  const before = one.exchanges();
  await one.pass(60_000);
  t.equal(one.exchanges(), before, 'and nothing is asked while nothing is used');
});

t.test(
  'without the bucket each process has its share: never nothing, never everything, and no debt for it later',
  async (t) => {
    const one = scene(2, { per: 'second', most: 10 });
    one.go(true);
    const passed = [0, 0];
    for (let tick = 0; tick < 20_000; tick += 1) {
      for (const at of [0, 1]) if (one.take(at)) passed[at] = (passed[at] ?? 0) + 1;
      await one.pass(1);
    }
    for (const each of passed) t.ok(each >= 95 && each <= 110, `${each} of 10 seconds at 5 and a first 5`);
    one.go(false);
    const from = one.taken.length;
    for (let tick = 0; tick < 5000; tick += 1) {
      for (const at of [0, 1]) one.take(at);
      await one.pass(1);
    }
    const after = one.taken.length - from;
    t.ok(after >= 35 && after <= 70, `${after} in the five seconds after it`);
  },
);

t.test('a request larger than the share passes, and is paid for', async (t) => {
  const one = scene(4, { per: 'minute', most: 100 });
  t.equal(one.waitOf(0, 101), Number.POSITIVE_INFINITY);
  t.equal(one.take(0, 90), true);
  await one.pass(10);
  t.equal(one.take(1, 25), true, 'a process that does not know yet');
  await one.pass(30);
  t.ok(one.bucket.level < -14, 'a debt');
  t.equal(one.take(1, 1), false);
  one.settle(0, 90, 10);
  await one.pass(1500);
  t.ok(one.bucket.level > 60, 'what did not come is given back');
});

t.test('a refused caller is served once the bucket has it, however slowly it comes again', async (t) => {
  for (const [name, everyMs, amount, level] of [
    ['each 20 ms', 20, 1, 2],
    ['each 1.5 seconds', 1500, 1, 2],
    ['each 3 seconds', 3000, 1, 2],
    ['with much at once', 1500, 40, 45],
  ] as const) {
    const one = scene(4, { per: 'day', most: 100 });
    // Another process has taken all.
    for (let times = 0; times < 40; times += 1) {
      one.bucket.level = 0;
      one.take(0);
      await one.pass(100);
    }
    for (let times = 0; times < 5; times += 1) {
      t.equal(one.take(0, amount), false, `${name}: nothing is there`);
      await one.pass(3000);
    }
    t.equal(one.take(0, amount), false);
    const alone = (amount / 100) * PERIOD_MS.day;
    const wait = one.waitOf(0, amount) ?? 0;
    t.ok(wait > alone * 0.9 && wait <= alone, `${name}: the wait is that of the whole bucket: ${wait} ms`);
    // Another process gives back.
    one.bucket.level = level;
    let refused = 0;
    while (!one.take(0, amount) && refused < 10) {
      refused += 1;
      await one.pass(everyMs);
    }
    t.ok(refused <= 3, `${name}: refused ${refused} times`);
    const before = one.bucket.level;
    while (one.take(0, amount));
    await one.pass(20_000);
    t.ok(one.bucket.level > before - amount, `${name}: nothing is kept for a caller that went away`);
    const asked = one.exchanges();
    await one.pass(60_000);
    t.equal(one.exchanges(), asked, `${name}: nor asked`);
  }
});

t.test('a debt that is forgiven is not in the bucket', async (t) => {
  for (const [name, told] of [
    ['before it was told', 0],
    ['after', 10],
  ] as const) {
    const one = scene(1, { per: 'second', most: 100 });
    one.settle(0, 0, 1100);
    await one.pass(told);
    one.forgive(0, 1000);
    t.ok(one.level(0) > -1 && one.level(0) <= 1, `${name}: ${one.level(0)} here`);
    await one.pass(100);
    t.ok(one.bucket.level > 0 && one.bucket.level <= 12, `${name}: ${one.bucket.level} there`);
    t.equal(one.take(0, 5), true, name);
    await one.pass(2000);
    t.equal(one.isFull(0), true, name);
  }
});

t.test('what is asked again after an answer was lost is charged once, and its lease is not lost', async (t) => {
  const one = scene(1, { per: 'day', most: 1000 });
  for (let round = 0; round < 20; round += 1) {
    one.lose(round % 3 !== 2);
    for (let at = 0; at < 5; at += 1) t.ok(one.take(0, 3));
    await one.pass(round % 2 ? 40 : 600);
  }
  one.lose(false);
  await one.pass(5000);
  t.equal(sum(one.taken), 300);
  t.ok(Math.abs(one.bucket.level - 700) < 0.2, `${one.bucket.level} left of 1000 when 300 were taken`);
});

t.test('without answers the tokens of forgotten accounts are let go', async (t) => {
  const ledger = new LeaseLedger({
    exchange: () => Promise.reject(new Error('away')),
    ...{ holders: () => 1, now: () => 0, later: () => undefined },
  });
  for (let at = 0; at < 30_000; at += 1) ledger.open(`a${at}`, 'requests', { per: 'day', most: 10 }).take(1, 0);
  t.equal(ledger.size, 20_000);
});
