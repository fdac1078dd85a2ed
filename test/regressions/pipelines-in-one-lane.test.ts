import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { RefusalPacing } from '../../src/limits/refusal-pacing.ts';
import { authenticate, type Received, recordingUpstream, startGateway } from '../rest/lane-fixture.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { until } from '../support/until.ts';

/**
 * Requests that a client pipelined over HTTP/1.1 began all at once in Fastify's lane, and one after the other on the
 * relay: writes ran side by side (RFC 9112 section 9.3.2), nothing slowed a guesser, and one connection without a
 * credential could fill the pool.
 */
const HOLD_LANE = 'content-encoding: identity\r\n';

interface Counted {
  readonly order: string[];
  readonly received: readonly Received[];
  readonly outcomes: number;
  readonly slowed: number;
  /** Most exchanges that were open at once, and most requests that upstream had at once. */
  readonly mostOpen: number;
  readonly mostUpstream: number;
}

/** Says all of it in one piece and counts until `answers` have come. */
async function pipelined(test: Test, bytes: string, answers: number, relayed = true): Promise<Counted> {
  let open = 0;
  let mostOpen = 0;
  let upstreamOpen = 0;
  let mostUpstream = 0;
  let outcomes = 0;
  let slowed = 0;
  const order: string[] = [];
  const upstream = await recordingUpstream((request, response) => {
    upstreamOpen += 1;
    mostUpstream = Math.max(mostUpstream, upstreamOpen);
    order.push(`begin ${request.method}`);
    // Long enough for others to be begun, if anything lets them.
    setTimeout(() => {
      upstreamOpen -= 1;
      order.push(`end ${request.method}`);
      response.end('{}');
    }, 5);
  });
  const gateway = await startGateway(upstream.port, {
    relayed,
    parts: {
      ...PLAIN_PARTS,
      // A clock that stands still: what has to wait never comes to be let off.
      now: () => 1,
      refusals: new RefusalPacing(
        () => 1,
        (ms, work) => setTimeout(work, ms),
      ),
      authenticate: (headers) => {
        open += 1;
        mostOpen = Math.max(mostOpen, open);
        return authenticate(headers);
      },
      record: (exchange) => {
        outcomes += 1;
        if (exchange.slowed === 'guesses') slowed += 1;
        if (exchange.decision?.kind !== undefined && exchange.resolution?.operation.requires.scope !== 'public')
          open -= 1;
      },
      fault: (error) => test.fail(String(error)),
    },
  });
  test.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const socket = connect(gateway.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.write(bytes);
  await until(() => text.split('HTTP/1.1 ').length - 1 >= answers, 'all are answered', 20_000);
  socket.destroy();
  return { order, received: upstream.received, outcomes, slowed, mostOpen, mostUpstream };
}

const LANES = { 'no relay': false, 'handed over by the relay': true };

for (const [lane, relayed] of Object.entries(LANES)) {
  t.test(`an upsert and the delete behind it run one after the other (${lane})`, async (t) => {
    const write = (method: string, target: string) =>
      `${method} ${target} HTTP/1.1\r\nhost: x\r\napi-key: main\r\n${HOLD_LANE}content-length: 2\r\n\r\n{}`;
    const pair = write('PUT', '/collections/a/points') + write('POST', '/collections/a/points/delete');
    const { order } = await pipelined(t, pair.repeat(5), 10, relayed);
    const one = ['begin PUT', 'end PUT', 'begin POST', 'end POST'];
    t.strictSame(order, Array.from({ length: 5 }, () => one).flat());
  });

  t.test(`chunked bodies are followed to their end (${lane})`, async (t) => {
    const body = '5\r\n{"a":\r\n2;x=y\r\n1}\r\n0\r\n\r\n';
    const put = `PUT /collections/a/points HTTP/1.1\r\nhost: x\r\napi-key: main\r\ntransfer-encoding: chunked\r\n\r\n${body}`;
    const { order, received } = await pipelined(t, put.repeat(4), 4, relayed);
    t.strictSame(order, Array.from({ length: 4 }, () => ['begin PUT', 'end PUT']).flat());
    t.strictSame(
      received.map((one) => one.body.toString()),
      Array.from({ length: 4 }, () => '{"a":1}'),
    );
  });

  t.test(`open routes are asked one at a time (${lane})`, async (t) => {
    const { mostUpstream, outcomes } = await pipelined(
      t,
      'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(100),
      100,
      relayed,
    );
    t.strictSame([mostUpstream, outcomes], [1, 100]);
  });

  t.test(`a guesser waits for each answer before the next guess is looked at (${lane})`, async (t) => {
    const guess = `GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: wrong\r\n${HOLD_LANE}\r\n`;
    const { mostOpen, outcomes, slowed } = await pipelined(t, guess.repeat(60), 60, relayed);
    t.strictSame({ mostOpen, outcomes, slowed }, { mostOpen: 1, outcomes: 60, slowed: 10 });
  });
}
