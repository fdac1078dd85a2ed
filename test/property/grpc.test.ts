import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { createInspector, inspectWhole, referencesOf } from '../../src/grpc/message/inspect.ts';
import { resolveGrpc } from '../../src/grpc/resolve.ts';
import { Flag, FRAME_HEADER_BYTES, FrameType } from '../../src/http2/frames.ts';
import { writeData, writeFrameHeader, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import type { ListAccess } from '../../src/policy/access.ts';
import { H2Client } from '../support/clients/h2-client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { cut, Draw, type Tape, tapes } from '../support/generators/arbitraries.ts';
import { arrivedOf, expectedVerdict, type GrpcCase, grpcCase, toArrive } from '../support/generators/grpc.ts';
import { SERVED } from '../support/generators/oracle.ts';
import { runs } from '../support/generators/runs.ts';
import { type Judged, judgeGrpc } from '../support/generators/steps.ts';

const PURE_RUNS = runs(15_000);
const GATEWAY_RUNS = 400;
const CALLS_PER_CONNECTION = 40;

function caseOf(tape: Tape): GrpcCase {
  return grpcCase(new Draw(tape));
}

function judge(one: GrpcCase, pieces: readonly Buffer[] = [one.stream]): Judged {
  return judgeGrpc(one.path, one.headers, pieces, one.encoding);
}

t.test('the streaming decision is that of a whole decode by the official client', async (t) => {
  const met = { served: 0, refused: 0, refusedForBody: 0, disagreeing: 0 };
  fc.assert(
    fc.property(tapes(600), tapes(20), (tape, cuts) => {
      const one = caseOf(tape);
      const expected = expectedVerdict(one);
      const { verdict } = judge(one, cut(new Draw(cuts), Buffer.from(one.stream)));
      if (one.disagrees && one.row?.inspect !== undefined && typeof one.principal.grant === 'object') {
        // Upstream would merge: refused here whatever the merge says, since another decoder could merge it in another way.
        met.disagreeing += 1;
        assert.notEqual(verdict, SERVED, describe(one));
        return;
      }
      assert.equal(verdict, expected, describe(one));
      met[expected === SERVED ? 'served' : 'refused'] += 1;
      if (isForBody(one)) met.refusedForBody += 1;
    }),
    { numRuns: PURE_RUNS },
  );
  t.ok(
    Object.values(met).every((count) => count > runs(100)),
    JSON.stringify(met),
  );
});

/** The same call on a row without an inspector would be served: what refused it stands in the message. */
function isForBody(one: GrpcCase): boolean {
  if (!one.row?.inspect) return false;
  const { inspect, ...plain } = one.row;
  void inspect;
  return expectedVerdict(one) !== SERVED && expectedVerdict({ ...one, row: plain }) === SERVED;
}

t.test('the pieces a stream comes in, other headers and their order never change the verdict', async (t) => {
  fc.assert(
    fc.property(tapes(600), tapes(60), (tape, cuts) => {
      const one = caseOf(tape);
      const draw = new Draw(cuts);
      const { credential } = one.principal;
      const bare = { ...one, path: one.path.split('?', 1)[0] ?? '', headers: credential ? [credential] : [] };
      const pieces = cut(draw, Buffer.from(one.stream)).flatMap((piece) => cut(draw, piece));
      assert.deepEqual(judge(one, pieces), judge(bare), describe(one));
    }),
    { numRuns: PURE_RUNS },
  );
  t.pass(`${PURE_RUNS} calls in two ways`);
});

t.test('a message that comes whole is read as one that comes in pieces', async (t) => {
  const met = { found: 0, refused: 0, notWhole: 0 };
  fc.assert(
    fc.property(tapes(600), tapes(20), (tape, cuts) => {
      const one = caseOf(tape);
      const { operation } = resolveGrpc(one.path);
      const around = new Draw(cuts);
      const before = Buffer.alloc(around.below(4), 0xff);
      const bytes = Buffer.concat([before, Buffer.from(one.stream), Buffer.alloc(around.below(4), 0xff)]);
      const whole = inspectWhole(operation, one.encoding, bytes, before.length, before.length + one.stream.length);
      if (!whole) {
        met.notWhole += 1;
        return;
      }
      const inspector = createInspector(operation, { encoding: one.encoding });
      for (const piece of cut(new Draw(cuts), Buffer.from(one.stream))) inspector.push(piece);
      inspector.end();
      const found = 'kind' in whole ? whole : referencesOf(operation, whole, EVERYTHING);
      assert.deepEqual(found, inspector.found(EVERYTHING), describe(one));
      met['kind' in whole ? 'refused' : 'found'] += 1;
    }),
    { numRuns: PURE_RUNS },
  );
  t.ok(
    Object.values(met).every((count) => count > runs(100)),
    JSON.stringify(met),
  );
});

/** A list that holds whatever is asked: what is refused then is refused for its form. */
const EVERYTHING: ListAccess = { kind: 'list', modes: Object.assign(new Map(), { has: () => true }) };

t.test('a gateway passes on what it may, unchanged, and nothing of what it may not', async (t) => {
  const gateway = await startGateway();
  t.teardown(() => gateway.close());
  const calls = new Calls(gateway);
  t.teardown(() => calls.close());
  const met = { served: 0, denied: 0 };
  await fc.assert(
    fc.asyncProperty(tapes(600), tapes(60), async (tape, cuts) => {
      const one = caseOf(tape);
      // A merge that is refused for itself has a text of the gateway's own.
      const verdict = one.disagrees ? judge(one).verdict : expectedVerdict(one);
      const { recorder } = gateway.upstream;
      recorder.clear();
      const status = await calls.make(one, new Draw(cuts));
      if (verdict === SERVED) {
        met.served += 1;
        await assertArrived(gateway, one);
        return;
      }
      met.denied += 1;
      assert.deepEqual([recorder.grpc.length, recorder.bytes], [0, 0], `nothing upstream: ${describe(one)}`);
      assert.equal(status.replace(/^\d+ ?/, ''), verdict, describe(one));
    }),
    { numRuns: GATEWAY_RUNS },
  );
  t.ok(met.served > 50 && met.denied > 50, JSON.stringify(met));
});

t.test('before the first call that is permitted nothing connects upstream', async (t) => {
  const gateway = await startGateway();
  t.teardown(() => gateway.close());
  let denied = 0;
  const calls = new Calls(gateway);
  t.teardown(() => calls.close());
  await fc.assert(
    fc.asyncProperty(tapes(600), tapes(60), async (tape, cuts) => {
      const one = caseOf(tape);
      if (one.disagrees || expectedVerdict(one) === SERVED) return;
      denied += 1;
      await calls.make(one, new Draw(cuts));
      assert.equal(gateway.upstream.recorder.connections.grpc, 0, describe(one));
    }),
    { numRuns: 150 },
  );
  t.ok(denied > 50, `${denied} refused calls`);
});

/** Calls on connections of their own kind: some on each, every byte in pieces. */
class Calls {
  readonly #gateway: TestGateway;
  #client: H2Client | undefined;
  #made = 0;

  constructor(gateway: TestGateway) {
    this.#gateway = gateway;
  }

  /** Code and text of the answer. */
  async make(one: GrpcCase, draw: Draw): Promise<string> {
    if (this.#made % CALLS_PER_CONNECTION === 0) await this.#connect();
    const id = (this.#made % CALLS_PER_CONNECTION) * 2 + 1;
    this.#made += 1;
    const client = this.#client;
    if (!client) throw new TypeError('not connected');
    const frames = [client.headers(id, one.path, one.headers)];
    const pieces = cut(draw, one.stream);
    pieces.forEach((piece, index) => {
      const last = index === pieces.length - 1;
      frames.push(draw.oneIn(3) ? padded(id, piece, draw.below(40), last) : writeData(id, piece, last));
    });
    for (const piece of cut(draw, Buffer.concat(frames))) {
      client.send(piece);
      await turn();
    }
    return await client.status(id);
  }

  close(): void {
    this.#client?.close();
  }

  async #connect(): Promise<void> {
    this.close();
    this.#client = await H2Client.connect(this.#gateway.grpc.port, { ca: this.#gateway.ca });
    this.#client.socket.setNoDelay(true);
    this.#client.send(writeWindowUpdate(0, 1 << 24));
  }
}

/** A DATA frame with padding, which is no part of the message. */
function padded(streamId: number, payload: Buffer, padding: number, last: boolean): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + 1 + payload.length + padding);
  const flags = Flag.PADDED | (last ? Flag.END_STREAM : 0);
  writeFrameHeader(frame, 0, frame.length - FRAME_HEADER_BYTES, FrameType.DATA, flags, streamId);
  frame[FRAME_HEADER_BYTES] = padding;
  payload.copy(frame, FRAME_HEADER_BYTES + 1);
  return frame;
}

/** What arrived upstream is what the client sent but for its credentials. */
async function assertArrived(gateway: TestGateway, one: GrpcCase): Promise<void> {
  const { grpc } = gateway.upstream.recorder;
  // A filtered answer is asked for by the gateway itself.
  if (one.row?.filter !== undefined && typeof one.principal.grant === 'object') return;
  assert.equal(grpc.length, 1, `one call upstream: ${describe(one)}`);
  const [record] = grpc;
  assert.ok(record);
  for (let i = 0; i < 1000 && record.state === 'receiving'; i += 1) await turn();
  assert.deepEqual([record.path, record.state, record.trailers], [one.path, 'complete', []]);
  assert.deepEqual(record.received.bytes, one.stream, describe(one));
  const arrived = record.metadata.flatMap((name, i) =>
    i % 2 === 0 ? [[name, record.metadata[i + 1] ?? ''] as const] : [],
  );
  const sent = [...one.headers, ['content-type', 'application/grpc'] as const];
  assert.deepEqual(arrivedOf(arrived), toArrive(sent), describe(one));
  const value = (name: string): string[] => arrived.filter(([key]) => key === name).map(([, text]) => text);
  assert.deepEqual(value('x-forwarded-for'), ['127.0.0.1']);
  assert.deepEqual(value('x-forwarded-proto'), ['https']);
}

function describe(one: GrpcCase): string {
  return `${one.path} as ${one.principal.name} ${JSON.stringify(one.headers)} ${one.stream.toString('hex')}`;
}
