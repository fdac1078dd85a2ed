import t from 'tap';
import { AnswerSlots, answerSlotsOf } from '../../src/grpc/answer-slots.ts';
import type { GrpcExchange } from '../../src/grpc/exchange.ts';
import { createAnswerMemory } from '../../src/limits/answer-memory.ts';
import type { PlaceNumbers } from '../../src/limits/fair-places.ts';
import { looseGuard } from '../support/guards.ts';
import { laterTurns } from '../support/later.ts';
import { until } from '../support/until.ts';

/* An answer over gRPC that is held until its client takes it has a place: one owner has some of them, and one connection some of those. */

const NUMBERS: PlaceNumbers = { all: 12, ofOwner: 8, ofClient: 4 };

/** Calls of one connection; each may be ended. */
function connection(slots: AnswerSlots, owner: string) {
  const steps = { reject: () => undefined };
  return (fields: Partial<GrpcExchange> = {}) => {
    const control = new AbortController();
    const exchange = { steps, ...fields } as unknown as GrpcExchange;
    const call = { granted: false, over: false, exchange, end: () => control.abort() };
    void slots.wait(owner, { leastMs: 0, signal: control.signal, exchange }).then((place) => {
      call.granted = place !== undefined;
      call.over = true;
    });
    return call;
  };
}

const many = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
const granted = (calls: readonly { granted: boolean }[]): number => calls.filter((call) => call.granted).length;

t.test(
  'one connection has half of the places of its owner, one owner some of all, and others have theirs',
  async (t) => {
    const slots = new AnswerSlots(createAnswerMemory(60_000), NUMBERS);
    const one = many(10, connection(slots, 'a'));
    await laterTurns();
    t.equal(granted(one), 4, 'one connection');
    const [second, third] = [many(10, connection(slots, 'a')), many(10, connection(slots, 'a'))];
    await laterTurns();
    t.strictSame([granted(second), granted(third)], [4, 0], 'more of the same owner');
    const other = many(10, connection(slots, 'b'));
    await laterTurns();
    t.equal(granted(other), 4, 'another owner');
    second[9]?.end();
    await laterTurns();
    t.ok(second[9]?.over && !second[9].granted, 'one that waits may leave');
    for (const call of one) if (call.granted) call.end();
    await laterTurns();
    t.ok(granted(third) > 0, 'the connection that has none is among the next');
    for (const call of [...one, ...second, ...third, ...other]) call.end();
    await laterTurns();
    t.equal(slots.size, 0);
    t.equal(
      await slots.wait('a', { leastMs: 0, signal: AbortSignal.abort() }),
      undefined,
      'a call that has ended gets none',
    );
    t.equal(slots.size, 0);
  },
);

t.test('the connections of one owner take turns', async (t) => {
  const slots = new AnswerSlots(createAnswerMemory(60_000), { all: 1 });
  const [one, other] = [connection(slots, 'a'), connection(slots, 'a')];
  const calls = [one(), one(), one(), other()];
  const order: number[] = [];
  for (let round = 0; round < calls.length; round += 1) {
    await until(() => calls.some((call) => call.granted), 'the next has its turn');
    const next = calls.findIndex((call) => call.granted);
    order.push(next);
    const call = calls[next];
    call?.end();
    if (call) call.granted = false;
  }
  t.ok(order.indexOf(3) <= 2, `the other one is not behind all of the first: ${order.join(' ')}`);
});

interface SlowCase {
  readonly name: string;
  /** Bytes that the client takes between two looks. */
  readonly taken: number;
  readonly ends: boolean;
  /** Who waits meanwhile. Default: another call of the same connection. */
  readonly waiting?: 'nobody' | 'another owner';
  readonly here?: false;
}

/** In 20 ms an answer has to be taken by 20 bytes. */
const SLOW: readonly SlowCase[] = [
  { name: 'of which nothing is taken ends', taken: 0, ends: true },
  { name: 'that is dripped ends', taken: 1, ends: true },
  { name: 'that is taken stays', taken: 4096, ends: false },
  { name: 'that keeps nobody waiting stays', taken: 0, ends: false, waiting: 'nobody' },
  { name: 'that keeps another owner waiting ends', taken: 1, ends: true, waiting: 'another owner' },
  { name: 'that is not there yet stays', taken: 0, ends: false, here: false },
];

for (const { name, taken, ends, waiting, here } of SLOW) {
  t.test(`an answer ${name}`, async (t) => {
    const slots = new AnswerSlots(createAnswerMemory(60_000), { all: 1 }, 20);
    const alive = setInterval(() => undefined, 1000);
    t.teardown(() => clearInterval(alive));
    let ended = 0;
    const steps = { reject: () => (ended += 1) };
    let looked = 0;
    const exchange = {
      steps,
      get outgoing() {
        looked += 1;
        return here === false ? undefined : Buffer.alloc(9);
      },
      get sent() {
        return looked * taken;
      },
    } as unknown as GrpcExchange;
    const control = new AbortController();
    t.ok(await slots.wait('a', { leastMs: 0, signal: control.signal, exchange }));
    const others = waiting === 'nobody' ? [] : [connection(slots, waiting === 'another owner' ? 'b' : 'a')()];
    await until(() => (ends ? ended > 0 : looked > 6), 'it has been looked at');
    t.equal(ended > 0, ends);
    control.abort();
    await laterTurns();
    t.equal(granted(others), others.length, 'the one that waited is next');
    for (const other of others) other.end();
  });
}

t.test('an answer of one protocol that keeps priority ends when others wait for bytes', async (t) => {
  const memory = createAnswerMemory(20);
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  const slots = answerSlotsOf(memory).tenants;
  t.equal(answerSlotsOf(memory).tenants, slots, 'one for a process');
  let ended = 0;
  const call = async (owner: string, outgoing: Buffer | undefined) => {
    const control = new AbortController();
    const reject = (): void => {
      ended += 1;
      control.abort();
    };
    const steps = { reject };
    const exchange = { steps, outgoing, sent: 0 } as unknown as GrpcExchange;
    const place = await slots.wait(owner, { leastMs: 0, signal: control.signal, exchange });
    if (!place) throw new TypeError('there are places');
    const state = { resumed: false, gaveUp: false, exchange, place };
    const guard = looseGuard();
    const source = { guard, resume: () => (state.resumed = true), giveUp: () => (state.gaveUp = true) };
    return { ...state, add: (bytes: number) => place.add(bytes, source), state };
  };
  const large = await call('a', Buffer.alloc(1));
  t.ok(large.add(40 << 20), 'the only one has priority');
  large.place.whole();
  const next = await call('b', undefined);
  t.notOk(next.add(40 << 20), 'another one waits');
  await until(() => next.state.resumed || next.state.gaveUp, 'it goes on or is told');
  t.strictSame([ended, next.state.resumed, next.state.gaveUp], [1, true, false], 'the first has ended for it');
});
