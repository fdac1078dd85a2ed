// Over HTTP/2 a request that was refused while its body was still to come had its stream reset before END_STREAM of the answer
// had left (RFC 9113 section 8.1), permitted ones now and then as well: strict clients saw an error in place of the answer.
import t from 'tap';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import { recordingUpstream, startGateway, testCertificate } from '../rest/lane-fixture.ts';
import { block, frame, framesOf, type Seen } from '../support/clients/raw-h2.ts';

const { DATA, HEADERS, RST_STREAM } = FrameType;
const { END_HEADERS, END_STREAM } = Flag;

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
    const seen = (await framesOf(gateway.port, bytes, hasEnded)).filter(({ streamId }) => streamId === 1);
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

t.test(
  'a request that crosses the GOAWAY of a gateway that stops is served up to the second one, which names the last',
  async (t) => {
    const releases: (() => void)[] = [];
    const upstream = await recordingUpstream((_request, response) => {
      releases.push(() => response.end('{}'));
      stop();
    });
    const gateway = await startGateway(upstream.port, { tls: await testCertificate() });
    t.teardown(() => upstream.close());
    let stopped: Promise<void> = Promise.resolve();
    const stop = () => {
      if (releases.length > 1) return;
      stopped = gateway.listener.close(5_000);
    };
    const fields = {
      ':method': 'GET',
      ':scheme': 'https',
      ':path': '/collections/a',
      ':authority': 'x',
      'api-key': 'main',
    };
    const ask = (streamId: number) => frame(HEADERS, END_HEADERS | END_STREAM, streamId, block(fields));
    let crossed = 0;
    const seen = await framesOf(gateway.port, [ask(1)], (seen, socket) => {
      const goaways = seen.filter(({ type }) => type === FrameType.GOAWAY).length;
      if (crossed < goaways) {
        crossed = goaways;
        // The answer to the PING behind the first GOAWAY, and a request that crosses either of them.
        const ping = seen.findLast(({ type }) => type === FrameType.PING)?.payload;
        socket.write(ask(goaways === 1 ? 3 : 5));
        if (goaways === 1 && ping) socket.write(frame(FrameType.PING, Flag.ACK, 0, ping));
        if (goaways === 2)
          setImmediate(() => {
            for (const release of releases) release();
          });
      }
      return false;
    });
    await stopped;
    await gateway.close();
    const goaways = seen.filter(({ type }) => type === FrameType.GOAWAY);
    t.ok(goaways.length > 0 && goaways.every(({ payload }) => payload.readUInt32BE(4) === 0), 'NO_ERROR');
    t.strictSame(
      goaways.map(({ payload }) => payload.readUInt32BE(0)),
      [0x7fff_ffff, 3],
      'first no stream is named, then the last one that was begun',
    );
    for (const id of [1, 3]) {
      t.ok(
        seen.some((one) => one.streamId === id && isEnd(one)),
        `stream ${id} is answered`,
      );
    }
    t.notOk(
      seen.some(({ streamId }) => streamId === 5),
      'the one behind the second GOAWAY is not',
    );
    t.equal(upstream.received.length, 2, 'upstream saw two');
  },
);
