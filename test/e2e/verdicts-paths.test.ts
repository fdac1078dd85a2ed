import t from 'tap';
import { sendBytes } from '../support/clients/raw-http.ts';
import type { FakeQdrantOptions } from '../support/fake-qdrant/main.ts';
import { startGateway } from '../support/gateway.ts';
import { eachOf } from '../support/verdicts/cells.ts';
import { pathAnswer, pathBytes, pathOutcome, pathVerdicts } from '../support/verdicts/paths.ts';
import { credentialOf } from '../support/verdicts/principals.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';

/** Recorded request targets, sent byte for byte to the running gateway. */
const LANES = 8;
const verdicts = pathVerdicts().map((verdict, mark) => ({ verdict, mark: String(mark) }));
const NAMES: Readonly<Record<string, string>> = { none: 'none', main: 'admin', listA: 'listA' };

function markOf(headers: readonly string[]): string {
  const at = headers.indexOf('x-mark');
  return at === -1 ? '' : (headers[at + 1] ?? '');
}

for (const relay of [true, false]) {
  t.test(`recorded request targets, ${relay ? 'relayed' : 'by Fastify'}`, async (t) => {
    const onRest: FakeQdrantOptions['onRest'] = ({ rawHeaders }, response) => {
      const found = verdicts.find(({ mark }) => mark === markOf(rawHeaders));
      if (!found) return false;
      const { status, body } = pathAnswer(found.verdict.request);
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
      return true;
    };
    const gateway = await startGateway({ settings: { 'gateway.rest.relay': relay }, upstream: { onRest } });
    t.teardown(() => gateway.close());
    const deviations = new Deviations('paths.json');
    const outcomes = new Map<string, string>();
    await eachOf(verdicts, LANES, async ({ verdict, mark }) => {
      const credential = credentialOf(NAMES[verdict.principal] ?? '', verdict.grant);
      const lines = [...credential.map(([name, value]) => `${name}: ${value}`), `x-mark: ${mark}`];
      const { status, text } = await sendBytes(gateway, pathBytes(verdict.request, lines));
      outcomes.set(mark, pathOutcome(verdict, status, text));
    });
    const received = Map.groupBy(gateway.upstream.recorder.rest, ({ rawHeaders }) => markOf(rawHeaders));
    for (const { verdict, mark } of verdicts) {
      const { method, target, to = target } = verdict.request;
      const name = `${verdict.case}: ${method} ${target.slice(0, 60)} as ${verdict.principal}`;
      const outcome = outcomes.get(mark) ?? '';
      const sent = received.get(mark)?.map((one) => one.target) ?? [];
      t.equal(deviations.settled(outcome, verdict), verdict.recorded, name);
      t.ok(outcome === verdict.recorded || /^[45]/.test(outcome), `${name} is not more than recorded`);
      if (outcome === '200' && method !== 'OPTIONS') t.strictSame(sent, [to], `${name} goes there`);
      const own = outcome !== verdict.recorded || /^40[13] /.test(outcome);
      if (own || sent.length > 1) t.strictSame(sent, [], `${name} goes nowhere`);
    }
    t.strictSame(deviations.stale(), [], 'every listed deviation is one');
    t.comment(`${verdicts.length} verdicts on request targets replayed through the running gateway`);
  });
}
