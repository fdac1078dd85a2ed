import t from 'tap';
import type { FakeQdrantOptions } from '../support/fake-qdrant/main.ts';
import { onEveryTransport, Witness } from '../support/transports/alike.ts';
import { openTransports } from '../support/transports/transports.ts';
import { pathAnswer, pathOutcome, pathVerdicts } from '../support/verdicts/paths.ts';
import { credentialOf } from '../support/verdicts/principals.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';

/** Recorded request targets, sent as they are to the running gateway, on every transport. */
const verdicts = pathVerdicts();
const NAMES: Readonly<Record<string, string>> = { none: 'none', main: 'admin', listA: 'listA' };
/** A form of target that HTTP/2 does not have: it is refused there, too. */
const ABSOLUTE = /^https?:/;

/** Numbers the requests, so that upstream knows what it was recorded to say. */
function numberOf(headers: readonly string[]): number {
  const at = headers.indexOf('x-number');
  return at === -1 ? -1 : Number(headers[at + 1]);
}

const onRest: FakeQdrantOptions['onRest'] = ({ rawHeaders }, response) => {
  const found = verdicts[numberOf(rawHeaders)];
  if (!found) return false;
  const { status, body } = pathAnswer(found.request);
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  return true;
};

t.test('recorded request targets, on every transport', async (t) => {
  const witness = new Witness();
  const transports = await openTransports({ observers: [witness.observe], upstream: { onRest } });
  t.teardown(() => transports.close());
  const deviations = new Deviations('paths.json');
  const heard = await onEveryTransport(
    transports,
    witness,
    verdicts.map(({ principal, grant, request: { method, target, headers = [] } }, number) => {
      const own = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
      const credential = credentialOf(NAMES[principal] ?? '', grant);
      return { method, target, headers: [...credential, ['x-number', String(number)] as const, ...own] };
    }),
  );
  for (const [index, { seen, first, differences }] of heard.entries()) {
    const verdict = verdicts[index];
    if (!verdict) throw new TypeError('an answer to no request');
    const { method, target, to = target } = verdict.request;
    const name = `${verdict.case}: ${method} ${target.slice(0, 60)} as ${verdict.principal}`;
    const outcome = pathOutcome(verdict, first.answer.status, first.answer.body);
    const sent = first.upstream.map((one) => one.target);
    t.equal(deviations.settled(outcome, verdict), verdict.recorded, name);
    t.ok(outcome === verdict.recorded || /^[45]/.test(outcome), `${name} is not more than recorded`);
    if (outcome === '200' && method !== 'OPTIONS') t.strictSame(sent, [to], `${name} goes there`);
    const own = outcome !== verdict.recorded || /^40[13] /.test(outcome);
    if (own || sent.length > 1) t.strictSame(sent, [], `${name} goes nowhere`);
    if (ABSOLUTE.test(target)) {
      const all = Object.values(seen).map(({ answer, upstream }) => [answer.status, upstream.length]);
      t.strictSame(all, Array(all.length).fill([400, 0]), `${name}: refused on every transport`);
    } else if (differences.length > 0) t.strictSame(differences, [], `${name}: the same on every transport`);
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(`${verdicts.length} verdicts on request targets replayed through the running gateway`);
});
