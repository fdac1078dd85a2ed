import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { type AnswerSlots, answerSlotsOf } from '../../../src/grpc/answer-slots.ts';
import type { GrpcExchange } from '../../../src/grpc/exchange.ts';
import { createGrpcAsker } from '../../../src/grpc/unary/asker.ts';
import { createAnswerMemory } from '../../../src/limits/answer-memory.ts';
import { FREE_BYTES } from '../../../src/limits/memory-budget.ts';
import { GrpcCode } from '../../../src/policy/denial.ts';
import { NO_CREDENTIAL } from '../../../src/upstream/credential.ts';
import { framed } from '../../support/clients/h2-client.ts';
import { until } from '../../support/until.ts';

/*
 * Answers that the gateway asks for itself were held without a common bound: 32 of 64 MiB for each tenant. They share one
 * budget with those of REST: tenants and their connections have a fair share of it, and what finds no room waits.
 */
const MIB = 1 << 20;
const SIZE = 12 * MIB;
const CAPACITY = 32 * MIB;
const TENANTS = 4;
const CONNECTIONS = 2;

/** An upstream that counts what it could send of each answer. */
async function startUpstream(test: Test, size = SIZE) {
  const message = framed(Buffer.alloc(size, 7));
  const sent = new Map<ServerHttp2Stream, number>();
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/grpc' });
    const { stream } = response;
    stream.on('error', () => undefined);
    const go = (at: number): void => {
      if (at >= message.length) {
        response.addTrailers({ 'grpc-status': '0' });
        response.end();
        return;
      }
      const piece = message.subarray(at, at + 65_536);
      stream.write(piece, () => {
        sent.set(stream, (sent.get(stream) ?? 0) + piece.length);
        go(at + piece.length);
      });
    };
    go(0);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const asker = createGrpcAsker({
    address: { tls: false, host: '127.0.0.1', port },
    authority: 'upstream',
    credential: () => NO_CREDENTIAL,
    socket: { connectTimeoutMs: 60_000, ca: undefined, alpn: ['h2'] },
  });
  test.teardown(() => asker.close());
  const total = (): number => [...sent.values()].reduce((sum, bytes) => sum + bytes, 0);
  return { asker, sent, total };
}

interface Call {
  readonly owner: string;
  outcome: 'asked' | 'whole' | GrpcCode;
  length: number;
  readonly end: () => void;
}

function ask(
  { asker }: Awaited<ReturnType<typeof startUpstream>>,
  slots: AnswerSlots,
  owner: string,
  steps: object,
): Call {
  const control = new AbortController();
  const exchange = { steps, sent: 0 } as unknown as GrpcExchange;
  const call: Call = { owner, outcome: 'asked', length: 0, end: () => control.abort() };
  const caller = { leastMs: 600_000, signal: control.signal, exchange };
  void (async () => {
    const place = await slots.wait(owner, caller);
    if (!place) return;
    const answer = await asker.ask('/qdrant.Points/Get', Buffer.alloc(0), { ...caller, place });
    call.outcome = answer.kind === 'message' ? 'whole' : answer.grpc;
    call.length = answer.kind === 'message' ? answer.message.length : 0;
  })();
  return call;
}

t.test('answers of several tenants share the memory, wait for it, and all come', async (t) => {
  const upstream = await startUpstream(t);
  const memory = createAnswerMemory(600_000);
  const { tenants } = answerSlotsOf(memory);
  const calls = Array.from({ length: TENANTS }, (_, tenant) =>
    Array.from({ length: CONNECTIONS }, () => {
      const steps = {};
      return [1, 2].map(() => ask(upstream, tenants, `tenant-${tenant}`, steps));
    }),
  ).flat(2);
  const open = new Set(calls);
  const whole = () => [...open].filter(({ outcome }) => outcome === 'whole');
  let highest = 0;
  const ended: string[] = [];
  while (open.size > 0) {
    const before = upstream.total();
    await until(() => whole().length > 0, 'one is whole');
    // What is granted by now has come when nothing more does.
    let [last, quiet] = [before, 0];
    while (quiet < 5) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      quiet = upstream.total() === last ? quiet + 1 : 0;
      last = upstream.total();
    }
    highest = Math.max(highest, last - ended.length * SIZE);
    const [first] = whole();
    if (!first) throw new TypeError('there is one');
    t.equal(first.length, SIZE);
    open.delete(first);
    ended.push(first.owner);
    first.end();
  }
  const bound = CAPACITY + SIZE + calls.length * (FREE_BYTES + 3 * 65_536);
  t.ok(highest <= bound, `${highest} of ${bound} bytes were held at once`);
  t.ok(highest > CAPACITY / 2, 'several at once');
  t.equal(new Set(ended.slice(0, 2 * TENANTS)).size, TENANTS, `each tenant is served early: ${ended.join(' ')}`);
  await until(() => memory.taken === 0 && tenants.size === 0, 'nothing is left');
});

t.test('an answer that finds no memory in time is refused, and those that have some are not', async (t) => {
  const upstream = await startUpstream(t, 40 * MIB);
  const memory = createAnswerMemory(200);
  const { tenants } = answerSlotsOf(memory);
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  const first = ask(upstream, tenants, 'a', {});
  await until(() => first.outcome === 'whole', 'the first one has priority');
  const [second, small] = [ask(upstream, tenants, 'b', {}), ask(await startUpstream(t, 1000), tenants, 'c', {})];
  await until(() => second.outcome !== 'asked', 'the second one is refused');
  t.equal(second.outcome, GrpcCode.unavailable);
  await until(() => small.outcome === 'whole', 'a small one needs none');
  t.equal(first.outcome, 'whole', 'it is not ended: its client was given nothing yet');
  for (const call of [first, second, small]) call.end();
  await until(() => memory.size === 0 && tenants.size === 0, 'nothing is left');
});
