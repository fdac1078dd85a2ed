import { Client, credentials, Metadata } from '@grpc/grpc-js';
import t from 'tap';
import { Flag, FrameType, parseSettings, SettingId } from '../../src/http2/frames.ts';
import { answer, setUp, startRelay, startUpstream } from '../grpc/relay-fixture.ts';
import { naming } from '../support/clients/h2-client.ts';

/* 100 calls at a time are few for a client with 200: natively there is no limit. Strangers have the tight one. */

t.test('a good credential grants more calls at a time, and 200 of them are served', async (t) => {
  const { client, upstream } = await setUp(t);
  const open: number[] = [];
  const atOnce = upstream.onFrame;
  upstream.onFrame = (_socket, frame) => {
    if (frame.type === FrameType.DATA && (frame.flags & 1) !== 0) open.push(frame.streamId);
  };
  const granted = (): number[] =>
    client.frames
      .filter(({ type, flags }) => type === FrameType.SETTINGS && flags === 0)
      .flatMap(({ payload }) => parseSettings(payload, 'server'))
      .filter(([id]) => id === SettingId.MAX_CONCURRENT_STREAMS)
      .map(([, value]) => value);
  const call = (id: number, key: string) => client.call(id, '/qdrant.Points/Count', naming('docs'), [['api-key', key]]);
  call(1, 'nobody');
  await client.status(1);
  t.same(granted(), [100], 'a stranger');
  call(3, 'admin');
  await client.until(() => granted().length === 2 || undefined);
  t.same(granted(), [100, 1000]);
  for (let at = 2; at < 202; at += 1) call(2 * at + 1, 'admin');
  await upstream.waitFor(() => open.length === 201);
  const [socket] = upstream.sockets;
  if (!socket) throw new Error('upstream has no connection');
  upstream.onFrame = atOnce;
  for (const id of open) answer(socket, id);
  for (let at = 1; at < 202; at += 1) t.equal(await client.status(2 * at + 1), '0');
});

t.test('200 calls at once of a real client on one connection are all open at the same time', async (t) => {
  const upstream = await startUpstream(t);
  const { address } = await startRelay(t, upstream);
  const open: number[] = [];
  // Nothing is answered before all of them are there.
  upstream.onFrame = (socket, frame) => {
    if (frame.type !== FrameType.DATA || !frame.has(Flag.END_STREAM)) return;
    open.push(frame.streamId);
    if (open.length === 200) for (const id of open) answer(socket, id);
  };
  const client = new Client(`127.0.0.1:${address.port}`, credentials.createInsecure());
  t.teardown(() => client.close());
  const metadata = new Metadata();
  metadata.set('api-key', 'admin');
  const same = (bytes: Buffer): Buffer => bytes;
  const call = (): Promise<number> =>
    new Promise((resolve) => {
      const message = naming('docs');
      client.makeUnaryRequest('/qdrant.Points/Count', same, same, message, metadata, {}, (error) =>
        resolve(error?.code ?? 0),
      );
    });
  const codes = await Promise.all(Array.from({ length: 200 }, call));
  t.strictSame(codes, new Array(200).fill(0));
  t.equal(upstream.sockets.length, 1);
});
