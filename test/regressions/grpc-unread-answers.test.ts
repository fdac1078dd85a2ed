import t from 'tap';
import { writeData, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { setUp } from '../grpc/relay-fixture.ts';
import { framed, naming } from '../support/clients/h2-client.ts';

/*
 * A client that takes none of the gateway's own answers was read on: 1.5 million refused calls on one connection without a
 * credential grew the process from 200 to 567 MB.
 */

/** Refused for what it asks: a wrong credential would be answered slowly. */
const SCOPED: [string, string][] = [['api-key', 'scoped']];

t.test('who takes no answers is not read any more, and is served when it takes them', async (t) => {
  const recorded = { calls: 0 };
  const { client } = await setUp(t, {
    record: () => {
      recorded.calls += 1;
    },
  });
  client.socket.pause();
  const CALLS = 120_000;
  const one = (id: number): Buffer =>
    Buffer.concat([client.headers(id, '/qdrant.Points/Count', SCOPED), writeData(id, framed(naming('d')), true)]);
  for (let call = 0; call < CALLS; call += 500) {
    client.send(...Array.from({ length: 500 }, (_, at) => one(2 * (call + at) + 1)));
  }
  // It comes to rest while the client has still much to send.
  for (let before = -1, quiet = 0; quiet < 20; ) {
    await new Promise((resolve) => setImmediate(resolve));
    quiet = before === recorded.calls ? quiet + 1 : 0;
    before = recorded.calls;
    if (quiet > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  t.ok(recorded.calls < CALLS / 2, `${recorded.calls} of ${CALLS} calls were answered`);
  t.ok(client.socket.writableLength > 0, 'the others wait at the client');
  client.socket.resume();
  for (let tries = 0; recorded.calls < CALLS && tries < 20_000; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.equal(recorded.calls, CALLS, 'all are answered in the end');
});

t.test('an answer whose client grants all of it and reads nothing is not handed to the socket whole', async (t) => {
  const ended: number[] = [];
  const size = 48 << 20;
  const { client } = await setUp(t, {
    ask: () => Promise.resolve({ kind: 'message', message: Buffer.alloc(size, 7) }),
    record: (_, { sent }) => {
      ended.push(sent);
    },
  });
  client.send(writeWindowUpdate(0, 1 << 30));
  client.socket.pause();
  client.call(1, '/qdrant.Qdrant/HealthCheck', Buffer.alloc(0));
  client.send(writeWindowUpdate(1, 1 << 30));
  // The gateway goes on until the buffers of the system are full.
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  t.strictSame(ended, [], 'the call is open, so that its memory and its place are counted');
  client.socket.resume();
  await client.status(1);
  t.equal(client.body(1).length, size + 5, 'it comes whole once it is read');
  t.strictSame(ended, [size + 5]);
});
