import t from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';
import { TurnClock, turnClock } from '../../src/lifetime/turn-clock.ts';

t.test('both clocks are read once in a turn, and again in the next', async (t) => {
  const read = { wall: 0, monotonic: 0 };
  const clock = new TurnClock(
    () => ++read.wall * 1000,
    () => ++read.monotonic * 7,
  );
  t.same([clock.wall(), clock.wall(), clock.monotonic(), clock.monotonic()], [1000, 1000, 7, 7]);
  t.same(read, { wall: 1, monotonic: 1 }, 'read once');
  clock.begin();
  t.same([clock.monotonic(), clock.wall(), clock.wall()], [14, 2000, 2000]);
});

const owner = { fail: () => undefined, cut: () => undefined };

for (const [name, enter] of [
  ['an entry', (guard: Guard, work: () => void) => guard.entry(work)()],
  ['a run', (guard: Guard, work: () => void) => guard.run(work)],
] as const) {
  t.test(`${name} of a guard begins a turn`, async (t) => {
    const guard = new Guard(owner, 'exchange', () => undefined);
    let turns = 0;
    t.intercept(turnClock, 'begin', { value: () => (turns += 1) });
    let inside = 0;
    enter(guard, () => {
      inside = turns;
    });
    t.equal(inside, 1);
  });
}
