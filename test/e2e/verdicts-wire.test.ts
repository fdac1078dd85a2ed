import t from 'tap';
import { type CallAnswer, frameClient } from '../support/clients/raw-grpc.ts';
import { startGateway } from '../support/gateway.ts';
import { onEveryTransport, Witness } from '../support/transports/alike.ts';
import { fieldOf } from '../support/transports/request.ts';
import { openTransports } from '../support/transports/transports.ts';
import { eachOf } from '../support/verdicts/cells.ts';
import { credentialOf } from '../support/verdicts/principals.ts';
import { outcomeOf } from '../support/verdicts/rest.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';
import { bodyOf, callOutcome, wireGrpcVerdicts, wireRestVerdicts } from '../support/verdicts/wire.ts';

/** Recorded bodies and streams in odd forms, sent byte for byte to the running gateway. */
const LANES = 8;
const NAMES: Readonly<Record<string, string>> = { main: 'admin', read: 'read-only' };

function marksIn(lists: readonly (readonly string[])[]): Map<string, number> {
  const marks = lists.map((headers) => headers[headers.indexOf('x-mark') + 1] ?? '');
  return new Map([...Map.groupBy(marks, (mark) => mark)].map(([mark, all]) => [mark, all.length]));
}

t.test('recorded bodies in odd forms, on every transport', async (t) => {
  const witness = new Witness();
  const transports = await openTransports({ observers: [witness.observe] });
  t.teardown(() => transports.close());
  const deviations = new Deviations('wire-rest.json');
  const verdicts = wireRestVerdicts();
  const heard = await onEveryTransport(
    transports,
    witness,
    verdicts.map(({ principal, grant, request }) => {
      const { route, on, type = 'application/json', codings = [] } = request;
      const headers = [
        ...credentialOf(NAMES[principal] ?? principal, grant),
        ...(type === null ? [] : [['content-type', type] as const]),
        ...codings.map((coding) => ['content-encoding', coding] as const),
      ];
      return { method: 'POST', target: `/collections/${on}/${route}`, headers, body: bodyOf(request) };
    }),
  );
  for (const [index, { first, differences }] of heard.entries()) {
    const verdict = verdicts[index];
    if (!verdict || first.upstream.length > 1) throw new Error(`${verdict?.case}: ${first.upstream.length} upstream`);
    const { status, body: text } = first.answer;
    const refused = status === 401 || status === 403;
    const raw = { status, contentType: fieldOf(first.answer, 'content-type'), text };
    const outcome = first.upstream.length === 1 && !refused ? 'served' : outcomeOf('POST', raw);
    t.equal(deviations.settled(outcome, verdict), verdict.recorded, verdict.case);
    if (refused) t.strictSame(first.upstream, [], `${verdict.case}: nothing of it goes upstream`);
    if (differences.length > 0) t.strictSame(differences, [], `${verdict.case}: the same on every transport`);
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(`${verdicts.length} verdicts on REST bodies replayed through the running gateway`);
});

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
