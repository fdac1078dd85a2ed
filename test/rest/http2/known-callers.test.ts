import { once } from 'node:events';
import { connect } from 'node:http2';
import t from 'tap';
import { ErrorCode, FrameType, parseSettings, SettingId } from '../../../src/http2/frames.ts';
import { encodeHeaders } from '../../../src/http2/hpack.ts';
import { writeData, writeHeaders } from '../../../src/http2/write-frames.ts';
import { WindowBudget } from '../../../src/rest/http2/window-budget.ts';
import { H2Client } from '../../support/clients/h2-client.ts';
import { outcome, restFields } from '../../support/invariants-http2.ts';
import { recordingUpstream, startGateway, testCertificate } from '../lane-fixture.ts';

/*
 * A stranger's connection takes 64 KiB before something of it is used. Once a credential is known it takes 1 MiB on a stream
 * and 4 MiB on all, so that an upload over a long distance is not one window for each round trip.
 */

const FIRST_WINDOW = 65_535;
const STREAM_WINDOW = 1_048_576;
const CONNECTION_WINDOW = 4_194_304;

/** What the gateway has granted so far: the window that streams begin with, and all of the connection's. */
function granted(client: H2Client): { readonly stream: number; readonly connection: number } {
  let [stream, connection] = [FIRST_WINDOW, FIRST_WINDOW];
  for (const { type, flags, streamId, payload } of client.frames) {
    if (type === FrameType.SETTINGS && flags === 0) {
      for (const [id, value] of parseSettings(payload, 'server')) {
        if (id === SettingId.INITIAL_WINDOW_SIZE) stream = value;
      }
    } else if (type === FrameType.WINDOW_UPDATE && streamId === 0) {
      connection += payload.readUInt32BE(0);
    }
  }
  return { stream, connection };
}

const upstream = await recordingUpstream();
const certificate = await testCertificate();
const gateway = await startGateway(upstream.port, { tls: certificate, relayed: true });
t.teardown(async () => {
  await gateway.close();
  await upstream.close();
});
const open = () => H2Client.connect(gateway.port, { ca: Buffer.from(certificate.issuer) });
const put = (key: string) => restFields('/collections/a/points', [['api-key', key]], 'PUT');
const ask = (client: H2Client, streamId: number, key: string) => {
  client.send(writeHeaders(streamId, encodeHeaders(restFields('/collections/a', [['api-key', key]])), true));
  return outcome(client, streamId);
};

t.test('a stranger has the windows that every connection begins with', async (t) => {
  const client = await open();
  t.equal(await ask(client, 1, 'wrong'), 'status 401');
  t.equal(await ask(client, 3, 'wrong'), 'status 401');
  t.strictSame(granted(client), { stream: FIRST_WINDOW, connection: FIRST_WINDOW });
  client.socket.destroy();
});

t.test('a known caller has wider ones, granted once', async (t) => {
  const client = await open();
  for (const id of [1, 3, 5]) t.equal(await ask(client, id, 'main'), 'status 200');
  t.strictSame(granted(client), { stream: STREAM_WINDOW, connection: CONNECTION_WINDOW });
  client.socket.destroy();
});

t.test('a body of the whole window passes without a grant in between', async (t) => {
  const client = await open();
  t.equal(await ask(client, 1, 'main'), 'status 200');
  const length = String(STREAM_WINDOW);
  const fields = restFields(
    '/collections/a/points',
    [
      ['api-key', 'main'],
      ['content-length', length],
    ],
    'PUT',
  );
  client.send(writeHeaders(3, encodeHeaders(fields), false), writeData(3, Buffer.alloc(STREAM_WINDOW, ' '), true));
  t.equal(await outcome(client, 3), 'status 200');
  t.equal(upstream.received.at(-1)?.body.length, STREAM_WINDOW);
  client.socket.destroy();
});

t.test('all connections together are granted no more than the budget', async (t) => {
  const budget = new WindowBudget(100);
  t.equal(budget.take(60), 60);
  t.equal(budget.take(60), 40, 'what is left');
  t.equal(budget.take(60), 0);
  budget.give(60);
  t.equal(budget.take(30), 30);
});

/** The statuses of so many requests that a real client begins at once. */
async function together(port: number, count: number): Promise<number[]> {
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.setMaxListeners(0);
  const one = async (): Promise<number> => {
    const stream = session.request({ ':path': '/collections/a', 'api-key': 'main' });
    const [head] = await once(stream.resume(), 'response');
    await once(stream, 'close');
    return stream.rstCode === 0 ? Number(head[':status']) : stream.rstCode;
  };
  const statuses = await Promise.all(Array.from({ length: count }, one));
  session.close();
  return statuses;
}

for (const relayed of [true, false]) {
  t.test(`200 requests that a client begins at once are served, ${relayed ? 'plain' : 'by the server'}`, async (t) => {
    const other = await startGateway(upstream.port, { tls: certificate, relayed });
    t.teardown(() => other.close());
    t.strictSame(await together(other.port, 200), Array(200).fill(200), 'of a client that has yet to be known');
    const client = await open();
    t.equal(await ask(client, 1, 'main'), 'status 200');
    // Known, it may have as many open as it likes, each with a body that does not end.
    const ids = Array.from({ length: 200 }, (_, at) => 2 * at + 3);
    for (const id of ids) client.send(writeHeaders(id, encodeHeaders(put('main')), false));
    client.send(...ids.map((id) => writeData(id, Buffer.from('{}'), true)));
    for (const id of ids) t.equal(await outcome(client, id), 'status 200');
    client.socket.destroy();
  });
}

t.test('a stranger has 100 requests open, and one more is refused', async (t) => {
  const client = await open();
  const ids = Array.from({ length: 101 }, (_, at) => 2 * at + 1);
  client.send(...ids.map((id) => writeHeaders(id, encodeHeaders(put('wrong')), false)));
  const outcomes = await Promise.all(ids.map((id) => outcome(client, id)));
  t.strictSame(outcomes, [...Array(100).fill('status 401'), 'reset 7']);
  client.socket.destroy();
});

t.test('refused requests whose bodies never end leave streams to others', async (t) => {
  const client = await open();
  const resets = (): number[] =>
    client.frames.flatMap(({ type, streamId }) => (type === FrameType.RST_STREAM ? [streamId] : []));
  for (let at = 0; at < 35; at += 1) client.send(writeHeaders(2 * at + 1, encodeHeaders(put('wrong')), false));
  await client.until((frames) => frames.find(({ type, streamId }) => type === FrameType.HEADERS && streamId === 69));
  // 100 streams are offered to a stranger: 25 such requests stay, each further one ends the oldest.
  await client.until(() => (resets().length === 10 ? true : undefined));
  t.strictSame(
    resets(),
    Array.from({ length: 10 }, (_, at) => 2 * at + 1),
  );
  const codes = client.frames.flatMap(({ type, payload }) =>
    type === FrameType.RST_STREAM ? [payload.readUInt32BE(0)] : [],
  );
  t.strictSame([...new Set(codes)], [ErrorCode.NO_ERROR], 'each was answered before');
  t.equal(await ask(client, 1001, 'main'), 'status 200', 'another caller finds a place');
  client.socket.destroy();
});
