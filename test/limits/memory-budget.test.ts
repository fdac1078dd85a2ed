import t from 'tap';
import { FREE_BYTES, MemoryBudget, type NoMemory, type Reservation } from '../../src/limits/memory-budget.ts';
import { looseGuard } from '../support/guards.ts';
import { laterTurns } from '../support/later.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const CAPACITY = 16 * MIB;
const LIMITS = { capacity: CAPACITY, priorityMs: 60_000, waitMs: 60_000 };

// The budget's own timers keep no process alive.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

/** A body that takes what it may in pieces of 64 KiB. */
class Body {
  readonly place: Reservation;
  taken = 0;
  waits = false;
  reason: NoMemory | undefined;
  readonly ended = Promise.withResolvers<NoMemory>();

  constructor(budget: MemoryBudget, owner: unknown, client: unknown = {}) {
    this.place = budget.enter(
      { owner, client },
      {
        guard: looseGuard(),
        resume: () => {
          this.waits = false;
        },
        giveUp: (reason) => {
          this.reason = reason;
          this.place.leave();
          this.ended.resolve(reason);
        },
      },
    );
  }

  /** Takes up to so many bytes in all; less when it has to wait. */
  upTo(bytes: number): this {
    while (!this.waits && this.taken < bytes) {
      this.taken += 64 * KIB;
      this.waits = !this.place.add(64 * KIB);
    }
    return this;
  }
}

t.test('small bodies never wait, whatever holds the rest', async (t) => {
  const budget = new MemoryBudget(LIMITS);
  for (let owner = 0; owner < 40; owner += 1) new Body(budget, owner).upTo(2 * MIB);
  const small = Array.from({ length: 1000 }, () => new Body(budget, 0).upTo(FREE_BYTES));
  t.notOk(small.some(({ waits }) => waits));
});

t.test('the sum stays within its bounds, and all bodies come to their end one after the other', async (t) => {
  const budget = new MemoryBudget(LIMITS);
  const size = 32 * MIB;
  const bodies = Array.from({ length: 30 }, (_, index) => new Body(budget, index % 3));
  let highest = 0;
  let ended = 0;
  for (let round = 0; round < 100 && ended < bodies.length; round += 1) {
    for (const body of bodies) if (body.taken < size) body.upTo(size);
    highest = Math.max(
      highest,
      bodies.reduce((sum, body) => sum + (body.taken === Number.POSITIVE_INFINITY ? 0 : body.taken), 0),
    );
    const whole = bodies.find((body) => body.taken === size);
    if (!whole) continue;
    whole.place.whole();
    whole.place.leave();
    await laterTurns();
    whole.taken = Number.POSITIVE_INFINITY;
    ended += 1;
  }
  t.equal(ended, 30, 'no two wait for each other');
  const bound = CAPACITY + size + bodies.length * (FREE_BYTES + 64 * KIB);
  t.ok(highest <= bound, `${highest} of ${bound}`);
  t.ok(highest > size, 'more than one at a time');
  t.equal(budget.taken, 0);
});

t.test('an owner at its limit leaves memory for another', async (t) => {
  const budget = new MemoryBudget(LIMITS);
  const greedy = Array.from({ length: 50 }, () => new Body(budget, 'greedy').upTo(2 * MIB));
  t.ok(greedy.filter(({ waits }) => waits).length > 40);
  const [modest, next] = [new Body(budget, 'modest').upTo(2 * MIB), new Body(budget, 'next').upTo(MIB)];
  t.strictSame([modest.waits, next.waits], [false, false]);
});

t.test('a client at its limit leaves memory for another one of its owner', async (t) => {
  const budget = new MemoryBudget(LIMITS);
  const bodies = (client: string) => Array.from({ length: 30 }, () => new Body(budget, 'owner', client).upTo(MIB));
  const taken = (list: readonly Body[]) => list.filter(({ waits }) => !waits).length;
  const [greedy, second] = [bodies('greedy'), bodies('second')];
  t.ok(taken(greedy) <= 7, `${taken(greedy)} MiB of 16 are one client's`);
  t.ok(taken(second) >= 1, `${taken(second)} are another one's`);
  const other = Array.from({ length: 30 }, () => new Body(budget, 'other').upTo(MIB));
  t.ok(taken(other) >= 2, `${taken(other)} are another owner's`);
  for (const body of [...greedy, ...second, ...other]) body.place.leave();
  t.equal(budget.taken, 0);
});

t.test('the clients of one owner have priority in turn', async (t) => {
  const budget = new MemoryBudget(LIMITS);
  const size = 8 * MIB;
  const greedy = Array.from({ length: 10 }, () => new Body(budget, 'owner', 'greedy').upTo(size));
  const modest = new Body(budget, 'owner', 'modest').upTo(size);
  let before = 0;
  for (const body of greedy) {
    body.upTo(size).place.leave();
    await laterTurns();
    if (!modest.waits) break;
    before += 1;
  }
  t.ok(before <= 1, `${before} before it`);
});

t.test('owners with large bodies have priority in turn', async (t) => {
  const budget = new MemoryBudget(LIMITS);
  const size = 8 * MIB;
  const greedy = Array.from({ length: 10 }, () => new Body(budget, 'greedy').upTo(size));
  const modest = new Body(budget, 'modest').upTo(size);
  t.strictSame([greedy[0]?.taken, modest.waits], [size, true]);
  let before = 0;
  for (const body of greedy) {
    body.upTo(size).place.leave();
    await laterTurns();
    if (!modest.waits) break;
    before += 1;
  }
  t.ok(before <= 1, `${before} before it`);
  t.equal(modest.upTo(size).taken, size);
});

t.test('bytes that were on their way when a body began to wait are counted, and wait with it', async (t) => {
  const budget = new MemoryBudget(LIMITS);
  const lead = new Body(budget, 1).upTo(4 * MIB);
  const waiting = new Body(budget, 2).upTo(4 * MIB);
  t.ok(waiting.waits);
  t.notOk(waiting.place.add(64 * KIB), 'it waits on');
  lead.place.leave();
  await laterTurns();
  t.notOk(waiting.waits);
  waiting.place.leave();
  await laterTurns();
  t.strictSame([budget.taken, budget.size], [0, 0]);
});

t.test('a complete body passes its priority on if there is memory for another', async (t) => {
  const budget = new MemoryBudget(LIMITS);
  const first = new Body(budget, 1).upTo(4 * MIB);
  const second = new Body(budget, 2).upTo(4 * MIB);
  t.strictSame([first.waits, second.waits], [false, true]);
  first.place.whole();
  t.equal(second.waits, true, 'never in the stack of the one that makes budget');
  await laterTurns();
  t.equal(second.waits, false);
  t.equal(second.upTo(4 * MIB).taken, 4 * MIB);
  first.place.leave();
  second.place.leave();
  t.equal(budget.taken, 0);
});

t.test('one that leaves gives back what it took, also while it waits, and only once', async (t) => {
  const budget = new MemoryBudget(LIMITS);
  const lead = new Body(budget, 1).upTo(4 * MIB);
  const waiting = new Body(budget, 1).upTo(4 * MIB);
  const last = new Body(budget, 1).upTo(4 * MIB);
  waiting.place.leave();
  waiting.place.leave();
  lead.place.leave();
  await laterTurns();
  t.strictSame([waiting.waits, last.waits], [true, false], 'the one behind it goes on');
  last.place.leave();
  t.equal(budget.taken, 0);
});

t.test('a body that keeps others waiting has a time to come, and one that waits, too', async (t) => {
  const budget = new MemoryBudget({ ...LIMITS, priorityMs: 20, waitMs: 10_000 });
  const slow = new Body(budget, 1).upTo(4 * MIB);
  const second = new Body(budget, 1).upTo(4 * MIB);
  t.strictSame(await slow.ended.promise, 'late');
  await laterTurns();
  t.strictSame([second.waits, second.reason], [false, undefined]);
  second.upTo(4 * MIB).place.whole();
  second.place.leave();

  const hurried = new MemoryBudget({ ...LIMITS, priorityMs: 10_000, waitMs: 20 });
  const lead = new Body(hurried, 1).upTo(4 * MIB);
  const patient = new Body(hurried, 1).upTo(4 * MIB);
  t.strictSame(await patient.ended.promise, 'full');
  t.equal(lead.reason, undefined, 'the one that leads is not told so');
});

t.test('a body with priority that delays no other has no time limit', async (t) => {
  const budget = new MemoryBudget({ ...LIMITS, priorityMs: 5 });
  const slow = new Body(budget, 1).upTo(4 * MIB);
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(slow.reason, undefined);
  const next = new Body(budget, 2).upTo(4 * MIB);
  t.strictSame(await Promise.race([slow.ended.promise, next.ended.promise]), 'late');
  await laterTurns();
  t.equal(next.waits, false);
});

t.test('a whole body that keeps priority is overdue while others wait for it, and only then', async (t) => {
  const budget = new MemoryBudget({ ...LIMITS, priorityMs: 5 });
  let overdue = 0;
  const place = budget.enter(
    { owner: 1, client: 1 },
    {
      guard: looseGuard(),
      resume: () => undefined,
      giveUp: () => t.fail('it is whole'),
      overdue: () => {
        overdue += 1;
        place.leave();
      },
    },
  );
  t.ok(place.add(20 * MIB));
  place.whole();
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(overdue, 0, 'nobody waits');
  const next = new Body(budget, 2).upTo(4 * MIB);
  t.ok(next.waits);
  while (next.waits) await new Promise((resolve) => setImmediate(resolve));
  t.equal(overdue, 1);
  next.place.leave();
  t.equal(budget.taken, 0);
});
