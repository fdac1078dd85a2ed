import t from 'tap';
import { FairQueue } from '../../src/limits/fair-queue.ts';

t.test('as many run at once as there are turns, the others in order', async (t) => {
  const turns = new FairQueue(2);
  const began: string[] = [];
  const take = (name: string) => turns.take('one owner', () => began.push(name));
  const [a, b] = [take('a'), take('b')];
  take('c');
  take('d');
  t.strictSame([began, turns.wanted], [['a', 'b'], true]);
  b.end();
  t.strictSame(began, ['a', 'b', 'c']);
  b.end();
  t.strictSame(began, ['a', 'b', 'c'], 'a turn ends once');
  a.end();
  t.strictSame([began, turns.wanted], [['a', 'b', 'c', 'd'], false]);
});

t.test('owners take turns, however many requests one of them has', async (t) => {
  const turns = new FairQueue(1);
  const began: string[] = [];
  let running = turns.take('greedy', () => began.push('greedy 0'));
  const places = [1, 2, 3].map((index) => turns.take('greedy', () => began.push(`greedy ${index}`)));
  places.push(turns.take('modest', () => began.push('modest')));
  for (let index = 0; index < 4; index += 1) {
    running.end();
    const next = places.find((place) => place.running);
    if (!next) break;
    running = next;
  }
  t.strictSame(began, ['greedy 0', 'greedy 1', 'modest', 'greedy 2', 'greedy 3']);
});

t.test('who leaves the queue is not called, and keeps nobody waiting', async (t) => {
  const turns = new FairQueue(1);
  const began: string[] = [];
  const first = turns.take(1, () => began.push('first'));
  turns.take(2, () => began.push('left')).end();
  t.equal(turns.wanted, false);
  first.end();
  const next = turns.take(3, () => began.push('next'));
  t.strictSame([began, next.running], [['first', 'next'], true]);
});
