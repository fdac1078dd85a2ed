import { EventEmitter } from 'node:events';
import t from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';

interface Scene {
  readonly guard: Guard;
  readonly seen: string[];
}

function scene(fail: () => void = () => undefined, cut: () => void = () => undefined): Scene {
  const seen: string[] = [];
  const owner = {
    fail: (error: unknown) => {
      seen.push(`fail: ${String(error)}`);
      fail();
    },
    cut: () => {
      seen.push('cut');
      cut();
    },
  };
  return { guard: new Guard(owner, 'body', (error, place) => seen.push(`${place}: ${String(error)}`)), seen };
}

function broken(): never {
  throw new Error('broken');
}

const FAILED = ['body: Error: broken', 'fail: Error: broken'];

t.test('an entry passes its arguments on and returns nothing', async (t) => {
  const { guard, seen } = scene();
  const emitter = new EventEmitter();
  emitter.on(
    'data',
    guard.entry((first: string, second: string) => seen.push(`${first} ${second}`)),
  );
  emitter.emit('data', 'a', 'b');
  t.strictSame(seen, ['a b']);
});

const WAYS: readonly (readonly [name: string, enter: (guard: Guard) => unknown])[] = [
  ['an event', (guard) => void new EventEmitter().on('data', guard.entry(broken)).emit('data')],
  ['a call', (guard) => guard.run(broken)],
  [
    'a timer',
    async (guard) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      guard.after(0, () => {
        resolve();
        broken();
      });
      await promise;
    },
  ],
  [
    'an interval',
    async (guard) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = guard.every(1, () => {
        clearInterval(timer);
        resolve();
        broken();
      });
      await promise;
    },
  ],
  [
    'an immediate',
    async (guard) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      guard.soon(() => {
        resolve();
        broken();
      });
      await promise;
    },
  ],
  ['a value that is waited for', (guard) => guard.settled(Promise.resolve(), broken)],
  ['an unexpected rejection', (guard) => guard.settled(Promise.reject(new Error('broken')), () => undefined)],
  ['a handler of rejections', (guard) => guard.settled(Promise.reject(new Error('other')), () => undefined, broken)],
];

for (const [name, enter] of WAYS) {
  t.test(`an exception in ${name} is reported and ends the owner`, async (t) => {
    const { guard, seen } = scene();
    const left = new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    await enter(guard);
    await left;
    t.strictSame(seen, FAILED);
  });
}

t.test('an expected rejection is no fault', async (t) => {
  const { guard, seen } = scene();
  guard.settled(Promise.reject(new Error('expected')), broken, (reason) => seen.push(`told: ${String(reason)}`));
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(seen, ['told: Error: expected']);
});

t.test('an owner that cannot fail in order is cut', async (t) => {
  const { guard, seen } = scene(() => {
    throw new Error('second');
  });
  guard.run(broken);
  t.strictSame(seen, [...FAILED, 'body: Error: second', 'cut']);
});

t.test('nothing leaves the guard, whatever the owner does', async (t) => {
  const { guard, seen } = scene(
    () => {
      throw new Error('second');
    },
    () => {
      throw new Error('third');
    },
  );
  t.doesNotThrow(() => guard.run(broken));
  t.strictSame(seen, [...FAILED, 'body: Error: second', 'cut', 'body: Error: third']);
});
