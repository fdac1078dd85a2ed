// Over HTTP/2 a request that was refused while its body was still to come had its stream reset before END_STREAM of the answer
// had left (RFC 9113 section 8.1), permitted ones now and then as well: strict clients saw an error in place of the answer.
import { connect } from 'node:tls';
import t from 'tap';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import { recordingUpstream, startGateway, testCertificate } from '../rest/lane-fixture.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const { DATA, HEADERS, RST_STREAM, SETTINGS } = FrameType;
const { END_HEADERS, END_STREAM } = Flag;

function frame(type: number, flags: number, streamId: number, payload: Buffer | string = ''): Buffer {
  const content = Buffer.from(payload as string);
  const head = Buffer.alloc(9);
  head.writeUIntBE(content.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, content]);
}

/** A header block without compression. */
function block(fields: Readonly<Record<string, string>>): Buffer {
  const string = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), string(name), string(value)]),
  );
}

interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly payload: Buffer;
}

/** Sends bytes and gives the frames of stream 1 until `until` is content, or the connection ends. */
function framesOf(port: number, bytes: readonly Buffer[], until: (seen: readonly Seen[]) => boolean): Promise<Seen[]> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    const seen: Seen[] = [];
    let came = Buffer.alloc(0);
    const done = () => {
      socket.destroy();
      resolve(seen);
    };
    socket.on('error', () => undefined).on('close', done);
    socket.on('data', (chunk: Buffer) => {
      came = Buffer.concat([came, chunk]);
      while (came.length >= 9 && came.length >= 9 + came.readUIntBE(0, 3)) {
        const length = came.readUIntBE(0, 3);
        const payload = came.subarray(9, 9 + length);
        if (came.readUInt32BE(5) === 1) seen.push({ type: came.readUInt8(3), flags: came.readUInt8(4), payload });
        came = came.subarray(9 + length);
      }
      if (until(seen)) done();
    });
    socket.write(Buffer.concat([Buffer.from(PREFACE), frame(SETTINGS, 0, 0), ...bytes]));
  });
}

const isEnd = ({ type, flags }: Seen) => (type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0;
const hasEnded = (seen: readonly Seen[]) => seen.some((one) => isEnd(one) || one.type === RST_STREAM);

t.test('an answer that comes before the end of its request ends, and is not reset', async (t) => {
  const upstream = await recordingUpstream();
  const gateway = await startGateway(upstream.port, { tls: await testCertificate() });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const head = (key: string, method = 'PUT') =>
    frame(
      HEADERS,
      END_HEADERS,
      1,
      block({
        ':method': method,
        ':scheme': 'https',
        ':path': '/collections/b/points',
        ':authority': 'x',
        'api-key': key,
      }),
    );
  const cases: readonly (readonly [name: string, bytes: readonly Buffer[]])[] = [
    ['a wrong key and no body yet', [head('wrong')]],
    ['a wrong key and a part of the body', [head('wrong'), frame(DATA, 0, 1, '{}')]],
    [
      'a wrong key and the end of the body in a frame of its own',
      [head('wrong'), frame(DATA, 0, 1, '{}'), frame(DATA, END_STREAM, 1)],
    ],
    ['a collection that is not listed', [head('listA'), frame(DATA, 0, 1, '{}')]],
    ['a HEAD with a wrong key', [head('wrong', 'HEAD'), frame(DATA, 0, 1, '{}')]],
  ];
  for (const [name, bytes] of cases) {
    const seen = await framesOf(gateway.port, bytes, hasEnded);
    t.ok(seen.length > 0 && isEnd(seen.at(-1) as Seen), `${name}: END_STREAM on the last frame of the answer`);
    t.notOk(
      seen.some(({ type }) => type === RST_STREAM),
      `${name}: no reset`,
    );
    t.ok(
      seen.every(({ type, payload }) => type !== DATA || payload.length > 0),
      `${name}: no frame for END_STREAM alone`,
    );
  }
  t.strictSame(gateway.faults, []);
});

t.test('a body without an end is read on within bounds, and reset only after END_STREAM', async (t) => {
  const upstream = await recordingUpstream();
  const gateway = await startGateway(upstream.port, { tls: await testCertificate() });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const fields = {
    ':method': 'PUT',
    ':scheme': 'https',
    ':path': '/collections/b/points',
    ':authority': 'x',
    'api-key': 'wrong',
  };
  const seen = await framesOf(
    gateway.port,
    [frame(HEADERS, END_HEADERS, 1, block(fields)), frame(DATA, 0, 1, '{}')],
    (seen) => seen.some(({ type }) => type === RST_STREAM),
  );
  const reset = seen.findIndex(({ type }) => type === RST_STREAM);
  t.ok(seen.findIndex(isEnd) < reset && seen.findIndex(isEnd) >= 0, 'first the end of the answer, then the reset');
  t.equal(seen[reset]?.payload.readUInt32BE(0), 0, 'NO_ERROR');
});
