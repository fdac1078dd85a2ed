import t from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';
import { FairQueue } from '../../src/limits/fair-queue.ts';
import { nextTurn } from '../support/later.ts';

const faults: unknown[] = [];
const GUARD = new Guard({ fail: () => undefined, cut: () => undefined }, 'exchange', (error) => faults.push(error));

t.test('as many run at once as there are slots, the others in order', async (t) => {
  const queue = new FairQueue(2);
  const began: string[] = [];
  const take = (name: string) => queue.take('one owner', GUARD, () => began.push(name));
  const [a, b] = [take('a'), take('b')];
  take('c');
  take('d');
  t.strictSame([began, queue.wanted], [['a', 'b'], true]);
  b.end();
  t.strictSame(began, ['a', 'b'], 'never in the stack of the one that ended');
  await nextTurn();
  t.strictSame(began, ['a', 'b', 'c']);
  b.end();
  await nextTurn();
  t.strictSame(began, ['a', 'b', 'c'], 'a turn ends once');
  a.end();
  await nextTurn();
  t.strictSame([began, queue.wanted], [['a', 'b', 'c', 'd'], false]);
});

t.test('slots go round robin over owners, however many requests one of them has', async (t) => {
  const queue = new FairQueue(1);
  const began: string[] = [];
  let running = queue.take('greedy', GUARD, () => began.push('greedy 0'));
  const entries = [1, 2, 3].map((index) => queue.take('greedy', GUARD, () => began.push(`greedy ${index}`)));
  entries.push(queue.take('modest', GUARD, () => began.push('modest')));
  for (let index = 0; index < 4; index += 1) {
    running.end();
    await nextTurn();
    const next = entries.find((place) => place.running);
    if (!next) break;
    running = next;
  }
  t.strictSame(began, ['greedy 0', 'greedy 1', 'modest', 'greedy 2', 'greedy 3']);
});

t.test('an entry that leaves the queue is not called, and blocks no other', async (t) => {
  const queue = new FairQueue(1);
  const began: string[] = [];
  const first = queue.take(1, GUARD, () => began.push('first'));
  queue.take(2, GUARD, () => began.push('left')).end();
  t.equal(queue.wanted, false);
  first.end();
  const next = queue.take(3, GUARD, () => began.push('next'));
  t.strictSame([began, next.running], [['first', 'next'], true]);
});

t.test('a turn that is given up before it has begun is not begun, and goes to the next', async (t) => {
  const queue = new FairQueue(1);
  const began: string[] = [];
  const first = queue.take(1, GUARD, () => began.push('first'));
  const second = queue.take(2, GUARD, () => began.push('second'));
  queue.take(3, GUARD, () => began.push('third'));
  first.end();
  t.equal(second.running, true);
  second.end();
  await nextTurn();
  await nextTurn();
  t.strictSame([began, queue.size], [['first', 'third'], 1]);
});

t.test("what goes wrong in a turn is its owner's", async (t) => {
  const queue = new FairQueue(1);
  const first = queue.take(1, GUARD, () => undefined);
  queue.take(2, GUARD, () => {
    throw new TypeError('broken');
  });
  first.end();
  await nextTurn();
  t.match(faults.splice(0), [{ message: 'broken' }]);
});
