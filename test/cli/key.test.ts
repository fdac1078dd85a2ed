import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createKey, deleteKey, expireKey, listKeys, rotateKey, setState, showKey } from '../../src/cli/key/commands.ts';
import { sha256Hex } from '../../src/identity/key-ring.ts';
import { isGeneratedKey } from '../../src/identity/key-text.ts';
import { readKeys } from '../../src/named-keys/edit.ts';
import { runScript } from '../support/process/run-script.ts';

const NOW = Date.parse('2026-11-29T12:00:00Z');
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-keys-'));
let files = 0;

/** A file of its own, and the commands on it, with what they write. */
function scene(text?: string, name = 'keys.yaml') {
  files += 1;
  const file = join(folder, `${files}-${name}`);
  if (text !== undefined) writeFileSync(file, text);
  const said = { out: '', err: '' };
  const output = {
    out: (part: string) => {
      said.out += part;
    },
    err: (part: string) => {
      said.err += part;
    },
  };
  const context = { output, now: NOW, readStdin: async () => 'a chosen secret with blanks\n' };
  const take = () => {
    const taken = { ...said };
    said.out = '';
    said.err = '';
    return taken;
  };
  return { file, flags: { file }, context, take };
}

t.test('a key is created, shown once, and kept as its hash', async (t) => {
  const { file, flags, context, take } = scene();
  await createKey({ ...flags, name: 'Team A', owner: 'a@b', access: 'r', network: ['10.0.0.0/8'] }, context);
  const { out, err } = take();
  const text = out.trim();
  t.ok(isGeneratedKey(text));
  t.notMatch(err, text.slice(-20), 'the text goes to standard output alone');
  const [entry] = readKeys(file);
  t.match(entry, {
    ...{ name: 'Team A', owner: 'a@b', access: 'r', state: 'active', networks: ['10.0.0.0/8'] },
    ...{ hash: `sha256:${sha256Hex(text)}`, postfix: text.slice(-4) },
    ...{ expires_at: '2027-02-27T12:00:00Z', created_at: '2026-11-29T12:00:00Z' },
  });
  t.notMatch(readFileSync(file, 'utf8'), text);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.equal(existsSync(`${file}.lock`), false);
  await listKeys(flags, context);
  t.match(take().out, /Team A\s+a@b\s+\.\.\.\w{4}\s+active\s+2027-02-27T12:00:00Z/);
  await showKey(entry?.id ?? '', { ...flags, json: true }, context);
  t.notMatch(take().out, /sha256|hash/);
});

t.test('no access, no end and no name by accident', async (t) => {
  const { file, flags, context } = scene();
  const bad: readonly [message: RegExp, flags: object][] = [
    [/give either --access/, {}],
    [/give either --access/, { access: 'r', collection: ['a=r'] }],
    [/access/, { access: 'w' }],
    [/not valid JSON/, { access: '[{' }],
    [/name must be 4 to 128/, { access: 'r', name: 'A' }],
    [/id must be 4 to 32/, { access: 'r', id: 'A_B' }],
    [/--expires must be like 30d/, { access: 'r', expires: 'soon' }],
    [/--not-before/, { access: 'r', notBefore: 'soon' }],
    [/either --tenant or --tenant-json/, { access: 'r', tenant: ['a'], tenantJson: '1' }],
    [/--tenant-json is not valid JSON/, { access: 'r', tenantJson: 'acme' }],
    [/tenant must be text that is not empty/, { access: 'r', tenantJson: '1.5' }],
  ];
  for (const [message, more] of bad) {
    await t.rejects(createKey({ ...flags, name: 'Team', ...more }, context), { message });
  }
  const wrong = { ...flags, name: 'Team', access: '[{"collections":["a*b"],"access":"r"}]' };
  await t.rejects(createKey(wrong, context), { message: /a `\*` is allowed at the end only/ });
  await t.rejects(createKey({ ...flags, name: 'Team', access: 'r', network: ['all'] }, context), {
    message: /must be an address/,
  });
  t.equal(existsSync(file), false, 'nothing was written');
});

t.test('a key has its tenant, whose type is kept', async (t) => {
  const { file, flags, context, take } = scene();
  const tenants: readonly (readonly [flags: object, tenant: unknown])[] = [
    [{ tenant: ['acme'] }, 'acme'],
    [{ tenant: ['7', 'b'] }, ['7', 'b']],
    [{ tenantJson: '7' }, 7],
    [{ tenantJson: '["7",7,true]' }, ['7', 7, true]],
  ];
  for (const [more] of tenants) await createKey({ ...flags, name: 'Team', access: 'r', ...more }, context);
  t.strictSame(
    readKeys(file).map(({ tenant }) => tenant),
    tenants.map(([, tenant]) => tenant),
  );
  take();
  await showKey(readKeys(file)[3]?.id ?? '', flags, context);
  t.match(take().out, 'tenant: ["7",7,true]\n');
});

t.test('a break-glass key is made for hours, and stays one', async (t) => {
  const { file, flags, context, take } = scene();
  const bad: readonly [message: RegExp, flags: object][] = [
    [/needs its end: give --for, at most 24h/, {}],
    [/at most 24 hours after its `created_at`/, { for: '25h' }],
    [/at most 24 hours after its `created_at`/, { expires: 'never' }],
    [/--expires or --for, not both/, { for: '2h', expires: '2h' }],
    [/--for must be a time such as 2h/, { for: '2026-11-30' }],
    [/give either --access/, { access: undefined, for: '2h' }],
  ];
  for (const [message, more] of bad) {
    await t.rejects(createKey({ ...flags, name: 'Glass', access: 'm', breakGlass: true, ...more }, context), {
      message,
    });
  }
  t.equal(existsSync(file), false, 'nothing was written');
  const made = { ...flags, name: 'Glass', id: 'glass', access: 'm', breakGlass: true };
  await createKey({ ...made, for: '2h', notBefore: '12h' }, context);
  t.match(readKeys(file), [
    { break_glass: true, not_before: '2026-11-30T00:00:00Z', expires_at: '2026-11-30T02:00:00Z' },
  ]);
  await createKey({ ...made, id: 'now1', for: '24h' }, context);
  await createKey({ ...flags, name: 'Plain', access: 'r', for: '2h' }, context);
  t.equal(readKeys(file)[2]?.expires_at, '2026-11-29T14:00:00Z', 'another key may end as soon');
  take();
  await listKeys(flags, context);
  t.match(take().out, /glass .*not yet valid, break-glass.*\nnow1 .*active, break-glass.*\n.*Plain .*active {2}/s);
  const before = readFileSync(file, 'utf8');
  for (const at of ['never', '48h']) {
    await t.rejects(expireKey('now1', { ...flags, at }, context), { message: /at most 24 hours after/ });
  }
  t.equal(readFileSync(file, 'utf8'), before, 'a longer life is not given');
  await expireKey('now1', { ...flags, at: '1h' }, context);
  t.equal(readKeys(file)[1]?.expires_at, '2026-11-29T13:00:00Z');
});

t.test('the life of a key', async (t) => {
  const { file, flags, context, take } = scene('# kept\nkeys: # and this\n  []\n');
  await createKey({ ...flags, name: 'Team', id: 'team', collection: ['docs=rw'], expires: 'never' }, context);
  const first = take().out.trim();
  await rotateKey('team', { ...flags, overlap: '2h' }, context);
  const second = take().out.trim();
  t.not(first, second);
  t.match(readKeys(file), [
    {
      hash: `sha256:${sha256Hex(second)}`,
      previous: { hash: `sha256:${sha256Hex(first)}`, until: '2026-11-29T14:00:00Z', postfix: first.slice(-4) },
    },
  ]);
  await rotateKey('team', { ...flags, overlap: '0' }, context);
  t.equal(readKeys(file)[0]?.previous, undefined, 'no overlap');
  for (const overlap of ['367d', '100000d', '2027-12-01']) {
    await t.rejects(rotateKey('team', { ...flags, overlap }, context), { message: /^--overlap .* too long; .* 366d$/ });
  }
  t.equal(readKeys(file)[0]?.previous, undefined, 'a long overlap rotates nothing');
  await rotateKey('team', { ...flags, overlap: '366d' }, context);
  await setState('team', 'disabled', flags, context);
  t.equal(readKeys(file)[0]?.state, 'disabled');
  await setState('team', 'active', flags, context);
  await expireKey('team', { ...flags, at: 'now' }, context);
  t.match(readKeys(file), [{ state: 'active', expires_at: '2026-11-29T12:00:00Z' }]);
  take();
  await showKey('team', flags, context);
  t.match(take().out, /state: expired/);
  t.match(readFileSync(file, 'utf8'), /^# kept\nkeys:\n +# and this\n/, 'comments stay');
  await deleteKey('team', flags, context);
  t.same(readKeys(file), []);
  await t.rejects(deleteKey('team', flags, context), { message: 'no key has the id `team`' });
});

t.test('an unknown id, with the nearest', async (t) => {
  const { flags, context } = scene();
  await createKey({ ...flags, name: 'Team', id: 'teamsearch', access: 'r' }, context);
  await t.rejects(setState('teamsaerch', 'disabled', flags, context), {
    message: 'no key has the id `teamsaerch`, did you mean `teamsearch`?',
  });
  await t.rejects(showKey('Team', flags, context), { message: /did you mean `teamsearch`/ }, 'a name leads to the id');
  await t.rejects(createKey({ ...flags, name: 'Team', id: 'teamsearch', access: 'r' }, context), {
    message: 'a key has the id `teamsearch` already',
  });
});

t.test('a chosen secret comes from standard input and is hashed slowly', async (t) => {
  const { file, flags, context, take } = scene();
  await createKey({ ...flags, name: 'Chosen', id: 'mine', access: 'r', chosen: true }, context);
  t.equal(take().out, 'qgw_mine_a chosen secret with blanks\n');
  t.match(readKeys(file), [{ hash: /^scrypt:32768:8:3:/ }]);
  t.equal(readKeys(file)[0]?.postfix, undefined, 'none of its characters is kept');
  const short = { ...context, readStdin: async () => 'short\n' };
  await t.rejects(createKey({ ...flags, name: 'Chosen', access: 'r', chosen: true }, short), { message: /16 or more/ });
});

t.test('a file of JSON stays JSON, and a link a link', async (t) => {
  const { file, flags, context } = scene('{"keys":[]}', 'keys.json');
  const link = `${file}.link`;
  symlinkSync(file, link);
  await createKey({ ...flags, file: link, name: 'Team', id: 'team', access: 'm' }, context);
  t.match(JSON.parse(readFileSync(file, 'utf8')), { keys: [{ id: 'team' }] });
});

t.test('writers at the same time lose nothing', async (t) => {
  const { file, flags, context } = scene();
  const ids = Array.from({ length: 12 }, (_, at) => `key${at}0`);
  await Promise.all(ids.map((id) => createKey({ ...flags, name: 'Many', id, access: 'r' }, context)));
  t.same(
    readKeys(file)
      .map(({ id }) => id)
      .sort(),
    ids.sort(),
  );
});

t.test('a file with faults is not written over', async (t) => {
  const { file, flags, context } = scene('keys: [{ id: team }]\n');
  await t.rejects(createKey({ ...flags, name: 'Team', access: 'r' }, context), { code: 'ERR_CONFIG' });
  t.equal(readFileSync(file, 'utf8'), 'keys: [{ id: team }]\n');
});

t.test('the program: JSON, exit codes, and the file of the configuration', async (t) => {
  const file = join(folder, 'program.yaml');
  const env = { QDRANT_GATEWAY__KEYS_FILE: file };
  writeFileSync(file, 'keys: []\n');
  const run = (...args: string[]) => runScript(['src/cli/main.ts', 'key', ...args], { env });
  const made = await run('create', '--name', 'Team A', '--access', 'r', '--json');
  t.equal(made.code, 0, made.err);
  const { id, key } = JSON.parse(made.out) as { id: string; key: string };
  t.ok(isGeneratedKey(key));
  const unknown = await run('disable', `${id}x`);
  t.equal(unknown.code, 2);
  t.match(unknown.err, `did you mean \`${id}\``);
  const nowhere = await runScript(['src/cli/main.ts', 'key', 'list']);
  t.match(nowhere, { code: 2, err: /no store of named keys is configured/ });
});

t.test('the loss of a key on standard output is told in one line', async (t) => {
  const { file } = scene();
  const script = `
    const { processOutput, tellLoss } = await import('./src/cli/frame/streams.ts');
    const { createKey } = await import('./src/cli/key/commands.ts');
    const flags = { file: ${JSON.stringify(file)}, name: 'Team A', access: 'r' };
    tellLoss(true);
    await createKey(flags, { output: processOutput, now: 0, readStdin: async () => '' });
  `;
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', full, 'pipe'],
  });
  closeSync(full);
  let said = '';
  child.stderr?.on('data', (part: Buffer) => {
    said += part.toString();
  });
  const [code] = await once(child, 'close');
  t.equal(code, 1);
  t.match(said, /^error: standard output takes nothing \(ENOSPC\): .*$/m);
  t.notMatch(said, /\n {4}at /, 'without a stack');
});
