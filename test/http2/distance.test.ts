import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { FrameType, parseSettings, SettingId } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeHeaders } from '../../src/http2/write-frames.ts';
import { framed, H2Client } from '../support/clients/h2-client.ts';
import { startDistance } from '../support/distance.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { grpcFields, outcome, restFields } from '../support/invariants-http2.ts';
import { collectionToken } from '../support/tokens.ts';
import { UNCHANGED } from '../support/transports/transports.ts';

/*
 * Over a distance an upload is as fast as its windows are wide: with 1 MiB on a stream a client is granted more four times
 * per mebibyte, and waits for it no more often. How fast that is: `npm run soak -- distance`.
 */

const MIB = 1_048_576;
const SIZE = 8 * MIB;
/** The gateway returns credit by the quarter of a window. */
const MOST_GRANTS = (4 * SIZE) / MIB + 4;
const ONE_WAY_MS = 4;

/** gRPC has upstream's windows: here those of tonic, which Qdrant has. */
const tonic = createServer({ settings: { initialWindowSize: MIB } });
tonic.on('session', (session) => session.setLocalWindowSize(MIB));
tonic.on('stream', (stream: ServerHttp2Stream) => {
  stream.resume().once('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(framed(Buffer.alloc(0)));
  });
});
await new Promise<void>((resolve) => tonic.listen(0, '127.0.0.1', resolve));
const gateway = await startGateway({
  upstream: UNCHANGED,
  settings: { 'gateway.upstream.grpc_url': `http://127.0.0.1:${(tonic.address() as AddressInfo).port}` },
});
t.teardown(async () => {
  await gateway.close();
  tonic.close();
});

const admin: HeaderField = ['api-key', KEYS.admin];
const writer: HeaderField = ['api-key', collectionToken('rw', 'cities')];
const sized: HeaderField = ['content-length', String(SIZE)];
const put = (extra: readonly HeaderField[]) => restFields('/collections/cities/points', extra, 'PUT');
const upsert = (credential: HeaderField) => grpcFields('/qdrant.Points/Upsert', [credential]);
const naming = Buffer.from('\x0a\x06cities');
/** A message that names its collection, and bytes of an unknown field. */
const length = Buffer.from([0xc2, 0x3e, 0, 0, 0, 0]);
for (let at = 0, left = SIZE; at < 4; at += 1, left = Math.floor(left / 128)) {
  length[2 + at] = (left % 128) | (at < 3 ? 0x80 : 0);
}
const message = framed(Buffer.concat([naming, length, Buffer.alloc(SIZE)]));
const json = Buffer.alloc(SIZE, ' ');

const UPLOADS = [
  ['a plain request of REST', 'rest', put([admin, sized]), json, 'status 200'],
  ['a request of REST by the server', 'rest', put([admin]), json, 'status 200'],
  ['a body of REST that is measured for its nesting', 'rest', put([writer, sized]), json, 'status 200'],
  ['a call of gRPC', 'grpc', upsert(admin), message, 'grpc 0'],
  ['a call of gRPC whose message is read', 'grpc', upsert(writer), message, 'grpc 0'],
] as const;

for (const [name, port, fields, body, ends] of UPLOADS) {
  t.test(`${name} waits for credit by the mebibyte, not by the 64 KiB`, async (t) => {
    const link = await startDistance(gateway[port].port, { oneWayMs: ONE_WAY_MS });
    const client = await H2Client.connect(link.port, { ca: gateway.ca });
    t.teardown(() => {
      client.close();
      link.close();
    });
    // A small one first: it makes its caller known.
    const first = port === 'rest' ? restFields('/collections', [admin]) : grpcFields('/qdrant.Points/Count', [admin]);
    client.send(writeHeaders(1, encodeHeaders(first), port === 'rest'));
    if (port === 'grpc') await client.stream(1, framed(naming));
    await outcome(client, 1);
    client.send(writeHeaders(3, encodeHeaders([...fields]), false));
    const waits = await client.stream(3, body, true, MIB);
    t.equal(await outcome(client, 3), ends);
    const { stream, connection, grants } = granted(client);
    t.ok(stream >= MIB && connection >= MIB, `a stream begins with ${stream} bytes`);
    // Over gRPC they are upstream's, in pieces of its own.
    if (port === 'grpc') return;
    t.ok(grants >= SIZE / MIB - 1 && grants <= MOST_GRANTS, `${grants} grants, of ${MOST_GRANTS} at most`);
    t.ok(waits <= 2 * MOST_GRANTS, `${waits} waits`);
  });
}

/** What streams begin with, what the connection was granted in all, and how often stream 3 was. */
function granted(client: H2Client): { readonly stream: number; readonly connection: number; readonly grants: number } {
  let [stream, connection, grants] = [65_535, 65_535, 0];
  for (const { type, flags, streamId, payload } of client.frames) {
    if (type === FrameType.SETTINGS && flags === 0) {
      for (const [id, value] of parseSettings(payload, 'server')) {
        if (id === SettingId.INITIAL_WINDOW_SIZE) stream = value;
      }
    }
    if (type !== FrameType.WINDOW_UPDATE) continue;
    if (streamId === 0) connection += payload.readUInt32BE(0);
    if (streamId === 3) grants += 1;
  }
  return { stream, connection, grants };
}
