// The gateway's own questions for filtered lists ended after 30 s, below a longer `grpc-timeout` of the caller, and went on when
// the caller had left.
import t from 'tap';
import type { Caller } from '../../src/grpc/unary/asker.ts';
import { writeRstStream } from '../../src/http2/write-frames.ts';
import { setUp } from '../grpc/relay-fixture.ts';

const LIST = '/qdrant.Collections/List';

t.test('what is asked for a caller is asked with the deadline of the caller, and given up with the call', async (t) => {
  const callers: Caller[] = [];
  const asked = Promise.withResolvers<void>();
  const ask = (_path: string, _message: Buffer, caller?: Caller): Promise<{ kind: 'message'; message: Buffer }> => {
    if (caller) callers.push(caller);
    if (callers.length < 3) return Promise.resolve({ kind: 'message', message: Buffer.alloc(0) });
    asked.resolve();
    return new Promise(() => undefined);
  };
  const { client } = await setUp(t, { ask });
  client.call(1, LIST, Buffer.alloc(0), [['api-key', 'scoped']]);
  t.equal(await client.status(1), '0');
  const long = [
    ['api-key', 'scoped'],
    ['grpc-timeout', '1H'],
  ] as const;
  client.call(3, LIST, Buffer.alloc(0), long);
  t.equal(await client.status(3), '0');
  client.call(5, LIST, Buffer.alloc(0), long);
  await asked.promise;
  t.strictSame(
    callers.map(({ leastMs }) => leastMs),
    [0, 3_600_000, 3_600_000],
  );
  const { signal } = callers[2] ?? { signal: AbortSignal.abort() };
  t.notOk(signal.aborted, 'the caller still waits');
  const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
  client.socket.write(writeRstStream(5, 8));
  await aborted;
  t.ok(signal.aborted, 'the caller has left');
});
