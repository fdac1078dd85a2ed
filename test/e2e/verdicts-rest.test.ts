import t from 'tap';
import { onEveryTransport, Witness } from '../support/transports/alike.ts';
import { fieldOf } from '../support/transports/request.ts';
import { openTransports, TRANSPORTS, UNCHANGED } from '../support/transports/transports.ts';
import { judgeRest, outcomeOf, restVerdicts } from '../support/verdicts/rest.ts';
import { agrees, Deviations, type Verdict } from '../support/verdicts/verdicts.ts';

/** What a secured Qdrant answered, asked again: of the parts put together by hand, and of the running gateway. */
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

t.test('recorded REST verdicts, through the running gateway, on every transport', async (t) => {
  const witness = new Witness();
  const transports = await openTransports({ observers: [witness.observe], upstream: UNCHANGED });
  t.teardown(() => transports.close());
  const deviations = new Deviations(...FILES);
  const heard = await onEveryTransport(
    transports,
    witness,
    verdicts.map(({ request: { body, ...head } }) => ({
      ...head,
      body: body === undefined ? body : Buffer.from(body),
    })),
  );
  for (const [index, { first, differences }] of heard.entries()) {
    const verdict = verdicts[index];
    if (!verdict) throw new TypeError('an answer to no request');
    const { answer, upstream } = first;
    const name = `${verdict.case} as ${verdict.principal}`;
    if (upstream.length > 1) throw new Error(`${name}: ${upstream.length} requests upstream`);
    const refused = answer.status === 401 || answer.status === 403;
    const raw = { status: answer.status, contentType: fieldOf(answer, 'content-type'), text: answer.body };
    const outcome = upstream.length === 1 && !refused ? 'served' : outcomeOf(verdict.request.method, raw);
    compare(t, verdict, outcome, deviations);
    if (refused && upstream.length > 0) t.fail(`${name}: nothing of a refused request goes upstream`);
    if (differences.length > 0) t.strictSame(differences, [], `${name}: the same on every transport`);
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(
    `${verdicts.length} REST verdicts replayed through the running gateway, on ${TRANSPORTS.length} transports`,
  );
});
