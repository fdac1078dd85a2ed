import t from 'tap';
import { ErrorCode, FrameType, MAX_WINDOW } from '../../src/http2/frames.ts';
import { writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { setUp } from '../grpc/relay-fixture.ts';
import { H2Client, naming } from '../support/clients/h2-client.ts';

/*
 * A window above 2^31-1 was kept before it was refused, and the end of the burst, outside of any guard, granted it to upstream:
 * the exception ended the process. One packet of any caller with a credential was enough, as the first call of a connection.
 */

const COUNT = '/qdrant.Points/Count';
const KEY = [['api-key', 'admin']] as const;

t.test('a call and grants past the largest window in one packet end the connection, and nothing else', async (t) => {
  const { client, upstream, listener } = await setUp(t);
  client.send(client.headers(1, COUNT, KEY, true), writeWindowUpdate(0, 1000), writeWindowUpdate(0, MAX_WINDOW));
  const goaway = await client.until((frames) => frames.find(({ type }) => type === FrameType.GOAWAY));
  t.equal(goaway.payload.readUInt32BE(4), ErrorCode.FLOW_CONTROL_ERROR);
  t.equal(upstream.sockets.length, 0, 'upstream has seen nothing');
  const other = await H2Client.connect(listener.address.port);
  t.teardown(() => other.close());
  other.call(1, COUNT, naming('docs'), KEY);
  t.equal(await other.status(1), '0', 'others are served');
});

t.test('the largest window there may be is passed on', async (t) => {
  const { client, upstream } = await setUp(t);
  client.send(writeWindowUpdate(0, 1000), writeWindowUpdate(0, MAX_WINDOW - 65_535 - 1000));
  client.call(1, COUNT, naming('docs'), KEY);
  t.equal(await client.status(1), '0');
  const grants = upstream.frames.filter(({ type, streamId }) => type === FrameType.WINDOW_UPDATE && streamId === 0);
  t.same(
    grants.map(({ payload }) => payload.readUInt32BE(0)),
    [MAX_WINDOW - 65_535],
  );
});
