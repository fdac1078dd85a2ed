import t from 'tap';
import { AnswerSlots } from '../../src/grpc/answer-slots.ts';
import type { GrpcExchange } from '../../src/grpc/exchange.ts';

/* A filtered list over gRPC is held until its client takes it: one owner has some of them, and the others are not asked for. */

t.test('one owner has some slots, the next call has one when an answer has been taken', async (t) => {
  const slots = new AnswerSlots();
  const calls = Array.from({ length: 20 }, () => new AbortController());
  const granted: number[] = [];
  const waits = calls.map(async ({ signal }, at) => {
    const has = await slots.wait('a', { leastMs: 0, signal });
    if (has) granted.push(at);
    return has;
  });
  await Promise.all(waits.slice(0, 8));
  t.equal(
    await slots.wait('b', { leastMs: 0, signal: new AbortController().signal }),
    true,
    'another owner has its own',
  );
  t.strictSame(granted, [0, 1, 2, 3, 4, 5, 6, 7]);
  calls[9]?.abort();
  t.equal(await waits[9], false, 'one that waits may leave');
  calls[0]?.abort();
  calls[1]?.abort();
  t.strictSame(await Promise.all([waits[8], waits[10]]), [true, true]);
  t.equal(granted.length, 10);
  for (const call of calls) call.abort();
  await Promise.all(waits);
  t.equal(slots.size, 1, 'only the other owner is left');
  t.equal(await slots.wait('a', { leastMs: 0, signal: AbortSignal.abort() }), false, 'a call that has ended gets none');
  t.equal(slots.size, 1);
});

t.test(
  'an answer of which nothing is taken ends while others of its owner wait, one that is taken does not',
  async (t) => {
    const slots = new AnswerSlots(2, 20);
    const ended: string[] = [];
    // The timers of the slots keep no process alive.
    const alive = setInterval(() => undefined, 1000);
    t.teardown(() => clearInterval(alive));
    const call = (name: string, outgoing: Buffer | undefined, activeAt: number) => {
      const control = new AbortController();
      const steps = {
        reject: () => {
          ended.push(name);
          control.abort();
        },
      };
      const exchange = { outgoing, activeAt, steps } as unknown as GrpcExchange;
      return slots.wait('a', { leastMs: 0, signal: control.signal, exchange });
    };
    t.equal(await call('untaken', Buffer.alloc(9), 0), true);
    t.equal(await call('taken', Buffer.alloc(9), Number.MAX_SAFE_INTEGER), true);
    t.equal(await call('waits', undefined, 0), true, 'it has the slot of the one that ended');
    t.strictSame(ended, ['untaken']);
  },
);

t.test('the connections of one owner take turns', async (t) => {
  const slots = new AnswerSlots(1);
  const order: string[] = [];
  const call = async (name: string, steps: object) => {
    const control = new AbortController();
    const exchange = { steps } as unknown as GrpcExchange;
    await slots.wait('a', { leastMs: 0, signal: control.signal, exchange });
    order.push(name);
    control.abort();
  };
  const [one, other] = [{}, {}];
  await Promise.all([call('1', one), call('2', one), call('3', one), call('4', one), call('other', other)]);
  t.strictSame(order, ['1', '2', 'other', '3', '4']);
});
