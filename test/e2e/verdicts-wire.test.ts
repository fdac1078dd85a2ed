import t from 'tap';
import { type CallAnswer, frameClient } from '../support/clients/raw-grpc.ts';
import { type RawAnswer, sendBytes } from '../support/clients/raw-http.ts';
import { startGateway } from '../support/gateway.ts';
import { eachOf } from '../support/verdicts/cells.ts';
import { credentialOf } from '../support/verdicts/principals.ts';
import { outcomeOf } from '../support/verdicts/rest.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';
import { bytesOf, callOutcome, wireGrpcVerdicts, wireRestVerdicts } from '../support/verdicts/wire.ts';

/** Recorded bodies and streams in odd forms, sent byte for byte to the running gateway. */
const LANES = 8;
const NAMES: Readonly<Record<string, string>> = { main: 'admin', read: 'read-only' };

function marksIn(lists: readonly (readonly string[])[]): Map<string, number> {
  const marks = lists.map((headers) => headers[headers.indexOf('x-mark') + 1] ?? '');
  return new Map([...Map.groupBy(marks, (mark) => mark)].map(([mark, all]) => [mark, all.length]));
}

for (const relay of [true, false]) {
  t.test(`recorded bodies in odd forms, ${relay ? 'relayed' : 'by Fastify'}`, async (t) => {
    const gateway = await startGateway({ settings: { 'gateway.rest.relay': relay } });
    t.teardown(() => gateway.close());
    const deviations = new Deviations('wire-rest.json');
    const verdicts = wireRestVerdicts().map((verdict, mark) => ({ verdict, mark: String(mark) }));
    const answers = new Map<string, RawAnswer>();
    await eachOf(verdicts, LANES, async ({ verdict: { principal, grant, request }, mark }) => {
      const credential = credentialOf(NAMES[principal] ?? principal, grant);
      const lines = [...credential.map(([name, value]) => `${name}: ${value}`), `x-mark: ${mark}`];
      answers.set(mark, await sendBytes(gateway, bytesOf(request, lines)));
    });
    const received = marksIn(gateway.upstream.recorder.rest.map(({ rawHeaders }) => rawHeaders));
    for (const { verdict, mark } of verdicts) {
      const answer = answers.get(mark);
      const times = received.get(mark) ?? 0;
      if (!answer || times > 1) throw new Error(`${verdict.case}: no answer, or ${times} requests upstream`);
      const refused = answer.status === 401 || answer.status === 403;
      const outcome = times === 1 && !refused ? 'served' : outcomeOf('POST', answer);
      t.equal(deviations.settled(outcome, verdict), verdict.recorded, verdict.case);
      if (refused) t.equal(times, 0, `${verdict.case}: nothing of it goes upstream`);
    }
    t.strictSame(deviations.stale(), [], 'every listed deviation is one');
    t.comment(`${verdicts.length} verdicts on REST bodies replayed through the running gateway`);
  });
}

t.test('recorded gRPC streams in odd forms', async (t) => {
  const gateway = await startGateway();
  const client = frameClient(gateway);
  t.teardown(async () => {
    client.close();
    await gateway.close();
  });
  const deviations = new Deviations('wire-grpc.json');
  const verdicts = wireGrpcVerdicts().map((verdict, mark) => ({ verdict, mark: String(mark) }));
  const answers = new Map<string, CallAnswer>();
  await eachOf(verdicts, LANES, async ({ verdict: { principal, grant, request }, mark }) => {
    const encoding = request.encoding.map((value) => ['grpc-encoding', value] as const);
    const headers = [...credentialOf(NAMES[principal] ?? principal, grant), ['x-mark', mark] as const, ...encoding];
    const { path: method, bytes, trailers } = request;
    answers.set(mark, await client.call({ method, headers, message: Buffer.alloc(0), bytes, trailers }));
  });
  const received = marksIn(gateway.upstream.recorder.grpc.map(({ metadata }) => metadata));
  for (const { verdict, mark } of verdicts) {
    const answer = answers.get(mark);
    const times = received.get(mark) ?? 0;
    if (!answer || times > 1) throw new Error(`${verdict.case}: no answer, or ${times} calls upstream`);
    const { code, message } = answer;
    const refused = code === 7 || code === 16;
    const outcome = times === 1 && !refused ? 'served' : callOutcome(verdict, code, message);
    t.equal(deviations.settled(outcome, verdict), verdict.recorded, verdict.case);
    if (refused) t.equal(times, 0, `${verdict.case}: nothing of it goes upstream`);
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(`${verdicts.length} verdicts on gRPC streams replayed through the running gateway`);
});
