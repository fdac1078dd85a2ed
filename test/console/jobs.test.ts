import t from 'tap';
import { Jobs } from '../../src/console/server/data/jobs.ts';

/* Comparisons of callers: the last ones that are done are kept, and none that is under way is lost. */

const ADA = { role: 'read', kind: 'key', keyId: 'ada', name: 'Ada', remote: '127.0.0.1' } as const;
const BEN = { ...ADA, keyId: 'ben', name: 'Ben' } as const;
const FAILED = { state: 'failed', problems: [] } as const;

t.test('a comparison that is under way stays readable, and one that is done goes first', async (t) => {
  const jobs = new Jobs();
  const [first, second] = [jobs.begin(ADA), jobs.begin(ADA)];
  if (first === undefined || second === undefined) throw new TypeError('two may be under way');
  t.equal(jobs.begin(ADA), undefined, 'a third one of the same caller is not begun');
  t.type(jobs.begin(BEN), 'string', 'one of another caller is');
  t.match([jobs.get(first, ADA), jobs.get(second, ADA)], [{ state: 'running' }, { state: 'running' }]);
  jobs.set(first, FAILED);
  t.type(jobs.begin(ADA), 'string', 'once one is done, the next begins');
  t.equal(jobs.get(first, ADA), undefined);
  t.match(jobs.get(second, ADA), { state: 'running' });
  t.equal(jobs.get(second, BEN), undefined, 'it is of its caller alone');
});
