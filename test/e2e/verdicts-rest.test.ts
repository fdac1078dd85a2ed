import t from 'tap';
import { http1Client, type RawRequest } from '../support/clients/raw-http.ts';
import { startGateway } from '../support/gateway.ts';
import { eachOf } from '../support/verdicts/cells.ts';
import { judgeRest, outcomeOf, restVerdicts } from '../support/verdicts/rest.ts';
import { agrees, Deviations, type Verdict } from '../support/verdicts/verdicts.ts';

/** What a secured Qdrant answered, asked again: of the parts put together by hand, and of the running gateway. */
const LANES = 8;
const FILES = ['verdicts-rest.json', 'cross-rest.json'];
const verdicts = restVerdicts();

type Tap = Pick<typeof t, 'equal' | 'strictSame' | 'pass' | 'comment'>;

function compare(t: Tap, verdict: Verdict<unknown>, outcome: string, deviations: Deviations): void {
  const name = `${verdict.case} as ${verdict.principal}`;
  if (agrees(outcome, verdict)) t.pass(name);
  else if (deviations.covers(verdict, outcome)) t.pass(`${name} (listed deviation)`);
  else t.equal(outcome, verdict.recorded, name);
}

t.equal(verdicts.length, 191 * 16 + 113 * 14, 'every recorded verdict is there');

t.test('recorded REST verdicts, decided without a socket', async (t) => {
  const deviations = new Deviations(...FILES);
  for (const verdict of verdicts) compare(t, verdict, await judgeRest(verdict.request), deviations);
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(`${verdicts.length} REST verdicts replayed`);
});

for (const relay of [true, false]) {
  t.test(`recorded REST verdicts, through the running gateway, ${relay ? 'relayed' : 'by Fastify'}`, async (t) => {
    const gateway = await startGateway({ settings: { 'gateway.rest.relay': relay } });
    const client = http1Client(gateway, LANES);
    t.teardown(async () => {
      client.close();
      await gateway.close();
    });
    const { recorder } = gateway.upstream;
    const deviations = new Deviations(...FILES);
    const numbered = verdicts.map((verdict, number) => ({ verdict, mark: String(number) }));
    const marked = ({ headers, ...rest }: RawRequest, mark: string): RawRequest => ({
      ...rest,
      headers: [...headers, ['x-mark', mark]],
    });
    const answers = new Map<string, Awaited<ReturnType<typeof client.send>>>();
    recorder.clear();
    await eachOf(numbered, LANES, async ({ verdict, mark }) => {
      answers.set(mark, await client.send(marked(verdict.request, mark)));
    });
    const received = Map.groupBy(recorder.rest, ({ rawHeaders }) => rawHeaders[rawHeaders.indexOf('x-mark') + 1] ?? '');
    for (const { verdict, mark } of numbered) {
      const answer = answers.get(mark);
      const times = received.get(mark)?.length ?? 0;
      if (!answer || times > 1) throw new Error(`${verdict.case}: no answer, or ${times} requests upstream`);
      const refused = answer.status === 401 || answer.status === 403;
      const outcome = times === 1 && !refused ? 'served' : outcomeOf(verdict.request.method, answer);
      compare(t, verdict, outcome, deviations);
      if (refused)
        t.equal(times, 0, `${verdict.case} as ${verdict.principal}: nothing of a refused request goes upstream`);
    }
    t.strictSame(deviations.stale(), [], 'every listed deviation is one');
    t.comment(`${verdicts.length} REST verdicts replayed through the running gateway`);
  });
}
