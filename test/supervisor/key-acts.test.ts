import t from 'tap';
import type { AdminAct } from '../../src/audit/act.ts';
import type { NamedKeySettings } from '../../src/policy/named-key.ts';
import { changesOf, KeyActs } from '../../src/supervisor/key-acts.ts';
import { namedKey } from '../support/named-keys.ts';

/* What is recorded of changes of named keys that come in force. */

const NOW = 1_800_000_000_000;
const KEY = namedKey('team', 'one', { expiresAt: NOW + 1000 });
const OTHER = namedKey('team', 'two').hash;

const CASES: readonly (readonly [name: string, more: Partial<NamedKeySettings>, changes: readonly string[]])[] = [
  ['the same', {}, []],
  ['another text', { hash: OTHER, postfix: 'x', previous: { hash: KEY.hash, until: NOW } }, ['rotate']],
  ['the former text ends', { previous: { hash: OTHER, until: NOW } }, []],
  ['disabled', { disabled: true }, ['disable']],
  ['an end that lies ahead', { expiresAt: NOW + 1 }, ['expire']],
  ['an end that is now', { expiresAt: NOW }, ['expire, ended']],
  ['no end', { expiresAt: undefined }, ['expire']],
  ['another access', { access: 'm' }, ['change']],
  ['other networks', { networks: ['10.0.0.0/8'] }, ['change']],
  ['another kind', { breakGlass: true }, ['change']],
  ['several', { hash: OTHER, disabled: true, owner: 'a@b' }, ['rotate', 'disable', 'change']],
];

const told = ({ method, ended }: Pick<AdminAct, 'method' | 'ended'>): string =>
  `${method.replace('gateway_key_', '')}${ended ? ', ended' : ''}`;

t.test('what made one key the other', async (test) => {
  for (const [name, more, changes] of CASES) {
    test.same(changesOf(KEY, { ...KEY, ...more }, NOW).map(told), changes, name);
  }
  test.same(changesOf(undefined, KEY, NOW).map(told), ['create']);
  test.same(changesOf(KEY, undefined, NOW).map(told), ['delete']);
  test.same(changesOf({ ...KEY, disabled: true }, KEY, NOW).map(told), ['enable']);
});

t.test(
  'of many at once the first are recorded alone, the others by their numbers, and a change through the admin port by itself',
  async (test) => {
    const acts: AdminAct[] = [];
    const record = new KeyActs({ act: (act) => acts.push(act), now: () => NOW });
    const keys = Array.from({ length: 300 }, (_, at) => namedKey(`key${at}`, 'one', { expiresAt: undefined }));
    record.inForce(keys, 'keys_file');
    const own = namedKey('own1', 'x');
    const made = { ok: true, key: own, text: 'x', inForce: true, problems: [] } as const;
    const ended = keys.slice(0, 120).map((key) => ({ ...key, disabled: true, expiresAt: NOW }));
    const change = record.through(async () => {
      record.inForce([...ended, own, namedKey('new1', 'y')], 'keys_file');
      return made;
    });
    await change({ change: 'create', body: undefined });
    test.equal(acts.length, 101);
    test.notOk(
      acts.some(({ target }) => target?.id === 'own1'),
      'it is recorded where it was asked for',
    );
    test.match(acts.at(-1), { method: 'gateway_keys_change', by: 'keys_file', result: 'ok' });
    test.same(
      acts.at(-1)?.changedKeys?.map((one) => `${told(one)}: ${one.count}`),
      ['disable: 70', 'expire, ended: 70', 'delete: 180', 'create: 1'],
    );
    acts.length = 0;
    record.inForce([...ended.slice(100), own, namedKey('new1', 'y')], 'keys_file');
    test.same(
      acts.map(told),
      Array.from({ length: 100 }, () => 'delete'),
      'a hundred are recorded alone',
    );
  },
);

t.test('changes through the admin port are left out, others beside them are not', async (test) => {
  const acts: string[] = [];
  const record = new KeyActs({ act: (act) => acts.push(`${act.target?.id} ${told(act)} ${act.by}`), now: () => NOW });
  const [one, two] = [namedKey('one1', 'a'), namedKey('two2', 'b')];
  record.inForce([one, two], 'keys_file');
  test.same(acts, [], 'the first keys are nothing new');
  record.inForce([{ ...one }, two], 'keys_file');
  test.same(acts, [], 'nor are the same');
  const off = { ...one, disabled: true };
  const change = record.through(async () => {
    record.inForce([off, { ...two, disabled: true }], 'keys_file');
    return { ok: true, key: off, text: undefined, inForce: true, problems: [] };
  });
  await change({ change: 'disable', id: 'one1', body: undefined });
  test.same(acts.splice(0), ['two2 disable keys_file']);
  const late = record.through(async () => ({ ok: true, key: one, text: undefined, inForce: false, problems: ['x'] }));
  await late({ change: 'enable', id: 'one1', body: undefined });
  record.inForce([one], 'keys_file');
  test.same(acts.splice(0), ['two2 delete keys_file'], 'one that comes in force later is left out as well');
  record.inForce([off], 'keys_redis');
  test.same(acts.splice(0), ['one1 disable keys_redis']);
  const gone = record.through(async () => {
    record.inForce([], 'keys_redis');
    return { ok: true, key: off, text: undefined, inForce: true, problems: [] };
  });
  await gone({ change: 'delete', id: 'one1', body: undefined });
  test.same(acts, []);
  const failing = record.through(async () => {
    throw new Error('no');
  });
  await test.rejects(failing({ change: 'enable', id: 'one1', body: undefined }));
  record.inForce([one], 'keys_redis');
  test.same(acts, ['one1 create keys_redis'], 'a failure holds nothing back');
});
