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
  record.inForce([of('ben'), of('ann')]);
  test.same(acts, [], 'one that is read again is not new');
  const revoke = record.through(async () => {
    record.inForce([of('ann'), of('ben'), of('own'), of('cid')]);
    return { ok: true, entry: of('own'), stored: 'file', warnings: [] };
  });
  await revoke({});
  test.same(acts.splice(0), [['revocations', 'cid']]);
  record.inForce([of('ann'), of('ben'), of('own'), of('cid'), of('dan')]);
  test.same(acts.splice(0), [['revocations', 'dan']]);
  const failing = record.through(async () => {
    throw new Error('no');
  });
  await test.rejects(failing({}));
  record.inForce([of('ann'), of('ben'), of('own'), of('cid'), of('dan'), of('eve')]);
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

t.test('lifts from elsewhere are recorded once, those through the admin port and ends are not', async (test) => {
  const acts: unknown[] = [];
  const record = new RevocationActs({
    act: ({ method, revoked }) => acts.push([method, revoked?.value]),
    now: () => 1_000_000,
  });
  const over = { ...of('over'), until: 900 };
  record.inForce([of('ann'), of('ben'), of('cid'), over]);
  record.inForce([of('ben'), of('cid')]);
  test.same(acts.splice(0), [['gateway_revoke_lift', 'ann']], 'what is over is cleared away, not lifted');
  record.inForce([of('ben'), of('cid'), of('ann')]);
  test.same(acts.splice(0), [['gateway_revoke', 'ann']], 'one that comes again is new');
  const lift = record.throughLift(async () => {
    record.inForce([of('cid'), of('ann')]);
    record.inForce([of('ann')]);
    return { ok: true, lifted: [of('ben')] };
  });
  await lift({});
  test.same(acts.splice(0), [['gateway_revoke_lift', 'cid']], 'its own is recorded by the port');
  const failing = record.throughLift(async () => {
    record.inForce([]);
    record.inForce([of('ann')]);
    return { ok: false, why: 'store', problems: [] };
  });
  await failing({});
  test.same(acts, [], 'what is gone for a moment is not lifted');
});
