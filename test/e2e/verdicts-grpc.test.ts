import t from 'tap';
import { type CallAnswer, frameClient } from '../support/clients/raw-grpc.ts';
import { startGateway } from '../support/gateway.ts';
import { eachOf } from '../support/verdicts/cells.ts';
import { grpcVerdicts, isAskedByGateway, judgeGrpc } from '../support/verdicts/grpc.ts';
import { agrees, Deviations, type Verdict } from '../support/verdicts/verdicts.ts';

/** What a secured Qdrant answered, asked again: of the parts put together by hand, and of the running gateway. */
const LANES = 16;
const FILES = ['verdicts-grpc.json', 'cross-grpc.json'];
const verdicts = grpcVerdicts();

type Tap = Pick<typeof t, 'equal' | 'strictSame' | 'pass' | 'comment'>;

function compare(t: Tap, verdict: Verdict<unknown>, outcome: string, deviations: Deviations): void {
  const name = `${verdict.case} as ${verdict.principal}`;
  if (agrees(outcome, verdict)) t.pass(name);
  else if (deviations.covers(verdict, outcome)) t.pass(`${name} (listed deviation)`);
  else t.equal(outcome, verdict.recorded, name);
}

t.equal(verdicts.length, 117 * 16 + 92 * 14, 'every recorded verdict is there');

t.test('recorded gRPC verdicts, decided without a socket', async (t) => {
  const deviations = new Deviations(...FILES);
  for (const verdict of verdicts) compare(t, verdict, await judgeGrpc(verdict.request), deviations);
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(`${verdicts.length} gRPC verdicts replayed`);
});

t.test('recorded gRPC verdicts, through the running gateway', async (t) => {
  const gateway = await startGateway();
  const client = frameClient(gateway);
  t.teardown(async () => {
    client.close();
    await gateway.close();
  });
  const { recorder } = gateway.upstream;
  const deviations = new Deviations(...FILES);
  const numbered = verdicts.map((verdict, number) => ({ verdict, mark: String(number) }));
  const answers = new Map<string, CallAnswer>();
  recorder.clear();
  await eachOf(numbered, LANES, async ({ verdict: { request }, mark }) => {
    answers.set(mark, await client.call({ ...request, headers: [['x-mark', mark], ...request.headers] }));
  });
  const received = Map.groupBy(recorder.grpc, ({ metadata }) => metadata[metadata.indexOf('x-mark') + 1] ?? '');
  for (const { verdict, mark } of numbered) {
    const answer = answers.get(mark);
    const times = received.get(mark)?.length ?? 0;
    if (!answer || times > 1) throw new Error(`${verdict.case}: no answer, or ${times} calls upstream`);
    const refused = answer.code === 7 || answer.code === 16;
    const served = !refused && (times === 1 || isAskedByGateway(verdict));
    compare(t, verdict, served ? 'served' : `${answer.code} ${answer.message}`.trim(), deviations);
    if (refused) t.equal(times, 0, `${verdict.case} as ${verdict.principal}: nothing of a refused call goes upstream`);
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(`${verdicts.length} gRPC verdicts replayed through the running gateway`);
});
