import t from 'tap';
import { FrameType, MAX_WINDOW } from '../../src/http2/frames.ts';
import { writePing } from '../../src/http2/write-frames.ts';
import { setUp } from '../grpc/relay-fixture.ts';
import { naming } from '../support/clients/h2-client.ts';

/*
 * The GOAWAY of a shutdown named the last stream at once, so that a call which was on its way was shown as never taken.
 * RFC 9113 section 6.8: first 2^31-1, then, when the client has seen that, the last one that was taken.
 */

t.test('a call that crosses the first GOAWAY is served', async (t) => {
  const { client, listener } = await setUp(t);
  const call = (id: number) => client.call(id, '/qdrant.Points/Count', naming('docs'), [['api-key', 'admin']]);
  call(1);
  await client.status(1);
  const closed = listener.close(10_000);
  const goaways = () => client.frames.filter(({ type }) => type === FrameType.GOAWAY);
  const ping = await client.until((frames) => frames.find(({ type }) => type === FrameType.PING));
  t.same(
    goaways().map(({ payload }) => payload.readUInt32BE(0)),
    [MAX_WINDOW],
  );
  call(3);
  client.send(writePing(ping.payload, true));
  t.equal(await client.status(3), '0');
  await closed;
  t.same(
    goaways().map(({ payload }) => payload.readUInt32BE(0)),
    [MAX_WINDOW, 3],
  );
});

t.test('a client that does not answer is told in a while, and does not hold up the end', async (t) => {
  const { client, listener } = await setUp(t);
  await client.until((frames) => frames.find(({ type, flags }) => type === FrameType.SETTINGS && flags === 1));
  await listener.close(30_000);
  t.equal(client.frames.filter(({ type }) => type === FrameType.GOAWAY).length, 2);
});
