import t from 'tap';
import type { RevocationEntry } from '../../src/revocation/entry.ts';
import { RevocationActs } from '../../src/supervisor/revocation-acts.ts';

/* What is recorded of revocations that come in force. */

const of = (value: string): RevocationEntry => ({ kind: 'subject', value });

t.test('revocations from elsewhere are recorded once, those through the admin port are not', async (test) => {
  const acts: unknown[] = [];
  const record = new RevocationActs({ act: ({ by, revoked }) => acts.push([by, revoked?.value]), now: () => 0 });
  record.inForce([of('ann')]);
  test.same(acts, [], 'the first ones are nothing new');
  record.inForce([of('ann'), of('ben')]);
  test.same(acts.splice(0), [['revocations', 'ben']]);
  record.inForce([of('ben')]);
  record.inForce([of('ann'), of('ben')]);
  test.same(acts, [], 'one that is read again is not new');
  const revoke = record.through(async () => {
    record.inForce([of('ann'), of('ben'), of('own'), of('cid')]);
    return { ok: true, entry: of('own'), stored: 'file', warnings: [] };
  });
  await revoke({});
  test.same(acts.splice(0), [['revocations', 'cid']]);
  record.inForce([of('own'), of('dan')]);
  test.same(acts.splice(0), [['revocations', 'dan']]);
  const failing = record.through(async () => {
    throw new Error('no');
  });
  await test.rejects(failing({}));
  record.inForce([of('eve')]);
  test.same(acts.splice(0), [['revocations', 'eve']], 'a failure holds nothing back');
});

t.test('of many at once the first are recorded alone, and the number of the others', async (test) => {
  const acts: unknown[] = [];
  const record = new RevocationActs({ act: ({ revoked }) => acts.push(revoked), now: () => 0 });
  record.inForce([]);
  record.inForce(Array.from({ length: 1005 }, (_, at) => of(`s${at}`)));
  test.equal(acts.length, 1001);
  test.same(acts.at(-1), { kind: 'more', value: '5' });
});
