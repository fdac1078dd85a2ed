import t from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';
import { FairQueue } from '../../src/limits/fair-queue.ts';
import { nextTurn } from '../support/later.ts';

const faults: unknown[] = [];
const GUARD = new Guard({ fail: () => undefined, cut: () => undefined }, 'exchange', (error) => faults.push(error));

t.test('as many run at once as there are turns, the others in order', async (t) => {
  const turns = new FairQueue(2);
  const began: string[] = [];
  const take = (name: string) => turns.take('one owner', GUARD, () => began.push(name));
  const [a, b] = [take('a'), take('b')];
  take('c');
  take('d');
  t.strictSame([began, turns.wanted], [['a', 'b'], true]);
  b.end();
  t.strictSame(began, ['a', 'b'], 'never in the stack of the one that ended');
  await nextTurn();
  t.strictSame(began, ['a', 'b', 'c']);
  b.end();
  await nextTurn();
  t.strictSame(began, ['a', 'b', 'c'], 'a turn ends once');
  a.end();
  await nextTurn();
  t.strictSame([began, turns.wanted], [['a', 'b', 'c', 'd'], false]);
});

t.test('owners take turns, however many requests one of them has', async (t) => {
  const turns = new FairQueue(1);
  const began: string[] = [];
  let running = turns.take('greedy', GUARD, () => began.push('greedy 0'));
  const places = [1, 2, 3].map((index) => turns.take('greedy', GUARD, () => began.push(`greedy ${index}`)));
  places.push(turns.take('modest', GUARD, () => began.push('modest')));
  for (let index = 0; index < 4; index += 1) {
    running.end();
    await nextTurn();
    const next = places.find((place) => place.running);
    if (!next) break;
    running = next;
  }
  t.strictSame(began, ['greedy 0', 'greedy 1', 'modest', 'greedy 2', 'greedy 3']);
});

t.test('who leaves the queue is not called, and keeps nobody waiting', async (t) => {
  const turns = new FairQueue(1);
  const began: string[] = [];
  const first = turns.take(1, GUARD, () => began.push('first'));
  turns.take(2, GUARD, () => began.push('left')).end();
  t.equal(turns.wanted, false);
  first.end();
  const next = turns.take(3, GUARD, () => began.push('next'));
  t.strictSame([began, next.running], [['first', 'next'], true]);
});

t.test('a turn that is given up before it has begun is not begun, and goes to the next', async (t) => {
  const turns = new FairQueue(1);
  const began: string[] = [];
  const first = turns.take(1, GUARD, () => began.push('first'));
  const second = turns.take(2, GUARD, () => began.push('second'));
  turns.take(3, GUARD, () => began.push('third'));
  first.end();
  t.equal(second.running, true);
  second.end();
  await nextTurn();
  await nextTurn();
  t.strictSame([began, turns.size], [['first', 'third'], 1]);
});

t.test("what goes wrong in a turn is its owner's", async (t) => {
  const turns = new FairQueue(1);
  const first = turns.take(1, GUARD, () => undefined);
  turns.take(2, GUARD, () => {
    throw new TypeError('broken');
  });
  first.end();
  await nextTurn();
  t.match(faults.splice(0), [{ message: 'broken' }]);
});
