import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { runs } from '../support/generators/runs.ts';
import { runScript } from '../support/process/run-script.ts';
import { type Compared, compare } from './replay.ts';
import { isClean, render, totalsOf } from './report.ts';

const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
const page = join(folder, 'conformance.md');
t.teardown(() => rmSync(folder, { recursive: true }));

const run = (env: Readonly<Record<string, string>> = {}) => runScript(['test/conformance/main.ts', page], { env });
const ALL = 7798;
/** Of another upstream a part is enough: it answers as the first one does, which has been asked for all. */
const EVERY = ALL / runs(ALL) > 1 ? 8 : 1;
const CLEAN = /^(\d+) verdicts: \d+ equal, \d+ earlier, \d+ listed deviation, 0 different$/m;
const asked = (out: string): number => Number(CLEAN.exec(out)?.[1]);

t.test('the gateway before the stand-in agrees, and the page says so', async (t) => {
  const { code, out } = await run();
  t.equal(code, 0, out);
  t.equal(asked(out), ALL, out);
  const text = readFileSync(page, 'utf8');
  t.match(text, 'Upstream of this run: the in-memory stand-in.');
  t.match(text, /^\| `DELETE \/collections\/docs \(listed\)` \| 401 \| 401 \| 200 \| 200 \| 403 \|/m);
  t.notMatch(text, /\*\*\w+ ≠/, 'no difference in any cell');
});

t.test('an upstream named by QDRANT_URL is filled, asked and emptied; one with collections is refused', async (t) => {
  const upstream = await startFakeQdrant({ version: '1.99.0' });
  t.teardown(() => upstream.close());
  const env = {
    QDRANT_URL: `${upstream.restUrl}/`,
    QDRANT_GRPC_URL: upstream.grpcUrl,
    CONFORMANCE_EVERY: String(EVERY),
  };
  const { code, out } = await run(env);
  t.equal(code, 0, out);
  t.ok(asked(out) >= Math.floor(ALL / EVERY), out);
  t.match(readFileSync(page, 'utf8'), 'Upstream of this run: Qdrant 1.99.0.');
  const left = await fetch(`${upstream.restUrl}/collections`).then((response) => response.json());
  t.match(left, { result: { collections: [] } });

  await fetch(`${upstream.restUrl}/collections/mine`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ vectors: { size: 1, distance: 'Dot' } }),
  });
  upstream.recorder.clear();
  const refused = await run(env);
  t.equal(refused.code, 2);
  t.match(refused.err, /holds collections \(1\)/);
  t.strictSame(
    upstream.recorder.rest.map(({ method }) => method),
    ['GET', 'GET'],
    'nothing was written to it',
  );
});

t.test('an upstream that cannot be reached, or is secured, is an error', async (t) => {
  const secured = await startFakeQdrant({
    onRest: (_record, response) => {
      response.writeHead(401).end();
      return true;
    },
  });
  t.teardown(() => secured.close());
  const answers = await Promise.all([run({ QDRANT_URL: secured.restUrl }), run({ QDRANT_URL: 'http://127.0.0.1:9' })]);
  t.strictSame(
    answers.map(({ code }) => code),
    [2, 2],
  );
  t.match(answers[0]?.err, 'it must be unsecured');
  t.match(answers[1]?.err, 'cannot be reached');
});

t.test('a verdict that is not the recorded one is a difference', async (t) => {
  const none = { covers: () => false };
  const verdict = { file: 'verdicts-rest.json', principal: 'read-only', grant: 'r', request: 0 } as const;
  const refusal = { ...verdict, case: 'DELETE /a', recorded: '403 Forbidden: no' };
  const served = { ...verdict, case: 'GET /b', recorded: 'served 200' };
  const early = { ...verdict, case: 'PUT /c', recorded: 'served 400', byMatrix: '403 no' };
  const seen = { refused: false, broken: false, times: 1, text: '' };
  const compared: Compared[] = [
    compare({ ...seen, verdict: refusal }, none),
    compare({ ...seen, verdict: refusal, refused: true, times: 0, text: '403 Forbidden: other' }, none),
    compare({ ...seen, verdict: refusal, refused: true, text: '403 Forbidden: no' }, none),
    compare({ ...seen, verdict: served, refused: true, times: 0, text: '403 no' }, none),
    compare({ ...seen, verdict: served, times: 0, broken: true, text: '502 broken' }, none),
    compare({ ...seen, verdict: served, times: undefined, broken: true, text: '502 broken' }, none),
    compare({ ...seen, verdict: early }, none),
  ];
  t.strictSame(
    compared.map(({ outcome, standing }) => `${standing}: ${outcome}`),
    [
      'different: served',
      'different: 403 Forbidden: other',
      'different: 403 Forbidden: no (sent upstream 1 times)',
      'different: 403 no',
      'different: 502 broken',
      'different: 502 broken',
      'different: served',
    ],
  );
  t.equal(isClean(totalsOf(compared)), false);
  const text = render(compared, 'none');
  t.match(text, '| `DELETE /a` | **403 ≠ ok** |');
  t.match(text, '| **All** | 7 | 0 | 0 | 0 | 7 |');

  const fine = [
    compare({ ...seen, verdict: refusal, refused: true, times: 0, text: '403 Forbidden: no' }, none),
    compare({ ...seen, verdict: early, refused: true, times: 0, text: '403 no' }, none),
    compare({ ...seen, verdict: refusal, times: 0, text: '400 odd' }, { covers: () => true }),
    compare({ ...seen, verdict: served, times: undefined, text: '404 not there' }, none),
  ];
  t.strictSame(
    fine.map(({ standing }) => standing),
    ['equal', 'earlier', 'listed deviation', 'equal'],
  );
  t.ok(isClean(totalsOf(fine)));
});
