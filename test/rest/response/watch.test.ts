import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import t from 'tap';
import { Guard } from '../../../src/lifetime/guard.ts';
import { AnswerWatch } from '../../../src/rest/response/watch.ts';

/** Only answers what the watch asks. */
class Stub extends EventEmitter {
  writableLength = 0;
  ended: string[] = [];
  readonly socket = { remoteAddress: '127.0.0.1', resetAndDestroy: () => this.ended.push('reset') };
  destroy(): void {
    this.ended.push('destroyed');
    this.emit('close');
  }
}

function start() {
  const clock = { now: 0 };
  const guard = new Guard({ fail: () => undefined, cut: () => undefined }, 'rest_listener', (error) =>
    t.fail(String(error)),
  );
  const watch = new AnswerWatch(100, guard, () => clock.now);
  const stub = new Stub();
  watch.add(stub as unknown as IncomingMessage, stub as unknown as ServerResponse);
  /** Looks every 10 ms until `until`. */
  const pass = (until: number): void => {
    for (; clock.now < until; clock.now += 10) watch.tick();
  };
  return { watch, stub, pass };
}

t.test('an answer of which nothing is taken for the whole time is ended, once', async (t) => {
  const { watch, stub, pass } = start();
  pass(1_000);
  t.strictSame(stub.ended, [], 'nothing is owed: upstream may take its time');
  stub.writableLength = 5;
  pass(1_090);
  t.strictSame(stub.ended, []);
  pass(1_130);
  t.strictSame(stub.ended, ['reset', 'destroyed']);
  t.equal(watch.open, 0, 'it is forgotten');
  pass(2_000);
  t.strictSame(stub.ended, ['reset', 'destroyed']);
});

t.test('whatever is taken in between begins the time anew', async (t) => {
  const { watch, stub, pass } = start();
  stub.writableLength = 1_000;
  for (let at = 90; at < 900; at += 90) {
    pass(at);
    stub.writableLength -= 1;
  }
  t.strictSame(stub.ended, [], 'a little at a time');
  for (let at = 900; at < 1_900; at += 90) {
    stub.emit('drain');
    pass(at);
  }
  t.strictSame(stub.ended, [], 'as much as was written');
  stub.emit('close');
  t.equal(watch.open, 0);
});
