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
