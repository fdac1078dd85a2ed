import t from 'tap';
import { ErrorCode, FrameType } from '../../src/http2/frames.ts';
import { writeData, writeHeaders, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { OK_END, OK_HEAD, setUp } from '../grpc/relay-fixture.ts';
import { naming } from '../support/clients/h2-client.ts';

/*
 * A WINDOW_UPDATE cost its sender nothing, and each was carried to every open call: 6.5 MB of them beside 100 open health
 * checks made all other clients wait for 1.8 seconds. Now they are paid for by the DATA they answer, and others from the budget.
 */

const KEY = [['api-key', 'admin']] as const;

t.test('grants for nothing end the connection', async (t) => {
  const { client } = await setUp(t);
  client.send(...Array.from({ length: 10_000 }, () => writeWindowUpdate(0, 1)));
  const goaway = await client.until((frames) => frames.find(({ type }) => type === FrameType.GOAWAY));
  t.equal(goaway.payload.readUInt32BE(4), ErrorCode.ENHANCE_YOUR_CALM);
});

t.test('a reader that grants each small frame on the call and on the connection is served to the end', async (t) => {
  const { client, upstream } = await setUp(t);
  const FRAMES = 20_000;
  upstream.onFrame = (socket, frame) => {
    if (frame.type !== FrameType.DATA || (frame.flags & 1) === 0) return;
    const data = Buffer.concat(Array.from({ length: 100 }, () => writeData(frame.streamId, Buffer.alloc(3), false)));
    socket.write(writeHeaders(frame.streamId, OK_HEAD, false));
    for (let sent = 0; sent < FRAMES; sent += 100) socket.write(data);
    socket.write(writeHeaders(frame.streamId, OK_END, true));
  };
  let granted = 0;
  client.socket.on('data', () => {
    const grants: Buffer[] = [];
    for (; granted < client.frames.length; granted += 1) {
      if (client.frames[granted]?.type !== FrameType.DATA) continue;
      grants.push(writeWindowUpdate(0, 3), writeWindowUpdate(1, 3));
    }
    if (grants.length > 0) client.send(...grants);
  });
  client.call(1, '/qdrant.Points/Count', naming('docs'), KEY);
  t.equal(await client.status(1), '0');
  t.notOk(client.frames.some(({ type }) => type === FrameType.GOAWAY));
  client.call(3, '/qdrant.Points/Count', naming('docs'), [['api-key', 'nobody']]);
  t.match(await client.status(3), /^16/, 'and goes on');
});
