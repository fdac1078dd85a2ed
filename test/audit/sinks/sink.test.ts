import t from 'tap';
import { Queue } from '../../../src/audit/sinks/queue.ts';
import { type AuditEntry, type Destination, Sink, type Written } from '../../../src/audit/sinks/sink.ts';
import { inPatience } from '../../support/reference.ts';
import { entries, entryOf, until } from '../fixture.ts';

/** A destination that a test answers for. */
class Told implements Destination {
  readonly name = 'told';
  readonly batches: string[][] = [];
  closed = 0;
  answer: (batch: readonly AuditEntry[]) => Promise<Written> = async (batch) => ({ done: batch.length });

  write(batch: readonly AuditEntry[]): Promise<Written> {
    this.batches.push(batch.map(({ event }) => event.id));
    return this.answer(batch);
  }

  close(): void {
    this.closed += 1;
  }
}

const FAST = { firstMs: 1, mostMs: 4 };

function sinkOf(destination: Destination, capacity = 100) {
  const changes: (string | undefined)[] = [];
  let progress = 0;
  const sink = new Sink(destination, {
    capacity,
    changed: (_name, fault) => changes.push(fault),
    progressed: () => {
      progress += 1;
    },
    retry: FAST,
  });
  return { sink, changes, progress: () => progress };
}

t.test('what comes within one turn is one write, in order', async (t) => {
  const told = new Told();
  const { sink } = sinkOf(told);
  for (const entry of entries(5)) sink.push(entry, false);
  t.equal(told.batches.length, 0, 'nothing is written while requests are served');
  await until(() => sink.snapshot().queued === 0);
  t.strictSame(told.batches, [['test-1', 'test-2', 'test-3', 'test-4', 'test-5']]);
  t.strictSame(sink.snapshot(), { name: 'told', written: 5, dropped: 0, queued: 0, fault: undefined });
});

t.test('a full queue drops the newest and counts them; what must be kept is kept', async (t) => {
  const told = new Told();
  const stuck = Promise.withResolvers<Written>();
  told.answer = () => stuck.promise;
  const { sink } = sinkOf(told, 3);
  for (const entry of entries(5)) sink.push(entry, false);
  t.equal(sink.isFull, true);
  sink.push(entryOf(6), true);
  t.strictSame([sink.snapshot().queued, sink.snapshot().dropped], [4, 2]);
  told.answer = async (batch) => ({ done: batch.length });
  stuck.resolve({ done: 3 });
  await until(() => sink.snapshot().queued === 0);
  t.strictSame(told.batches.flat().slice(3), ['test-6']);
  t.equal(sink.isFull, false);
});

t.test('after a fault it goes on where it was: in order, nothing doubled, nothing lost', async (t) => {
  const told = new Told();
  const taken: string[] = [];
  let calls = 0;
  told.answer = async (batch) => {
    calls += 1;
    // Takes two, fails, takes none, fails, and so on.
    const done = calls % 2 === 0 ? 0 : Math.min(2, batch.length);
    taken.push(...batch.slice(0, done).map(({ event }) => event.id));
    return calls < 9 ? { done, fault: calls % 2 === 0 ? 'EAGAIN' : 'ENOSPC' } : { done };
  };
  const { sink, changes, progress } = sinkOf(told);
  for (const entry of entries(10)) sink.push(entry, false);
  await until(() => sink.snapshot().queued === 0);
  t.strictSame(
    taken,
    entries(10).map(({ event }) => event.id),
  );
  t.equal(sink.snapshot().written, 10);
  t.equal(changes.at(-1), undefined, 'and it says that it goes again');
  t.equal(progress(), 5);
});

t.test('an entry that can be written in no form is counted, and the next ones go on', async (t) => {
  const told = new Told();
  told.answer = async (batch) => ({ done: batch.length, lost: 1 });
  const { sink } = sinkOf(told);
  for (const entry of entries(3)) sink.push(entry, false);
  await until(() => sink.snapshot().queued === 0);
  t.strictSame([sink.snapshot().written, sink.snapshot().dropped], [2, 1]);
});

t.test('closing writes what waits', async (t) => {
  const told = new Told();
  const { sink } = sinkOf(told);
  for (const entry of entries(3)) sink.push(entry, false);
  t.equal(await sink.close(1000), 0);
  t.strictSame([told.batches.flat().length, told.closed], [3, 1]);
  sink.push(entryOf(4), true);
  t.equal(sink.snapshot().dropped, 1, 'what comes later is counted');
});

t.test('closing a destination that takes nothing ends in time, and counts what is left', async (t) => {
  const told = new Told();
  told.answer = () => new Promise<Written>(() => undefined);
  const { sink } = sinkOf(told);
  for (const entry of entries(3)) sink.push(entry, false);
  t.equal(await inPatience(sink.close(200)), 3);
  t.strictSame([sink.snapshot().dropped, told.closed], [3, 1]);
});

t.test('closing tries at once what waits for its next try', async (t) => {
  const told = new Told();
  told.answer = async () => ({ done: 0, fault: 'ENOSPC' });
  const sink = new Sink(told, {
    capacity: 10,
    changed: () => undefined,
    progressed: () => undefined,
    retry: { firstMs: 3_600_000, mostMs: 3_600_000 },
  });
  sink.push(entryOf(1), false);
  await until(() => told.batches.length === 1);
  told.answer = async (batch) => ({ done: batch.length });
  t.equal(await sink.close(2000), 0);
});

t.test('a queue gives what went in, however often its front goes', async (t) => {
  const queue = new Queue<number>();
  let next = 0;
  let expected = 0;
  for (let round = 0; round < 2000; round++) {
    for (let i = 0; i < 5; i++) queue.push(next++);
    const front = queue.peek(7);
    for (const one of front) if (one !== expected++) t.fail(`${one} is out of order`);
    queue.drop(front.length);
  }
  t.equal(queue.length, next - expected);
  queue.drop(10_000);
  t.strictSame(queue.peek(1), []);
});
