import t from 'tap';
import { writeData } from '../../src/http2/write-frames.ts';
import { setUp } from '../grpc/relay-fixture.ts';
import { framed, naming } from '../support/clients/h2-client.ts';

/*
 * A client that takes none of the gateway's own answers was read on: 1.5 million refused calls on one connection without a
 * credential grew the process from 200 to 567 MB.
 */

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
    Buffer.concat([client.headers(id, '/qdrant.Points/Count'), writeData(id, framed(naming('d')), true)]);
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
