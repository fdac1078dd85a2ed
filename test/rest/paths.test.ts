import t from 'tap';
import { pathAnswer, pathBytes, pathOutcome, pathVerdicts } from '../support/verdicts/paths.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';
import { exchangeRaw, readAnswer, recordingUpstream, startGateway } from './lane-fixture.ts';

t.test('recorded request targets get the recorded answers', async (t) => {
  let answering = { status: 200, body: '' };
  const upstream = await recordingUpstream((_request, response) => {
    const { status, body } = answering;
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    response.writeHead(status, headers).end(body);
  });
  const gateway = await startGateway(upstream.port);
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const deviations = new Deviations('paths.json');
  for (const verdict of pathVerdicts()) {
    const { request, principal, recorded } = verdict;
    const { method, target, to = target } = request;
    answering = pathAnswer(request);
    upstream.received.length = 0;
    const bytes = pathBytes(request, principal === 'none' ? [] : [`api-key: ${principal}`]);
    const { text } = await exchangeRaw(gateway.port, bytes);
    const answer = readAnswer(text);
    const outcome = pathOutcome(verdict, answer.status, Buffer.from(answer.body, 'latin1').toString());
    const name = `${verdict.case}: ${method} ${target.slice(0, 60)} as ${principal}`;
    const sent = upstream.received.map((one) => one.target);
    t.equal(deviations.settled(outcome, verdict), recorded, name);
    t.ok(outcome === recorded || /^[45]/.test(outcome), `${name} is not more than recorded`);
    if (outcome === '200' && method !== 'OPTIONS') t.strictSame(sent, [to], `${name} goes there`);
    if (outcome !== recorded || /^40[13] /.test(outcome)) t.strictSame(sent, [], `${name} goes nowhere`);
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
});
