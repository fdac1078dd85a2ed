import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { stringify } from 'yaml';
import { cutKeys, joinKeys } from '../../src/config/keys/chunks.ts';
import { readKeyEntries, readKeysAhead } from '../../src/config/keys/file.ts';
import { readAhead, readQuickly } from '../../src/config/keys/quick-read.ts';
import type { KeyEntry } from '../../src/config/keys/schema.ts';
import { editKeys, readKeys } from '../../src/named-keys/edit.ts';
import type { KeyChange } from '../../src/named-keys/edit-text.ts';
import { OPERATION_NAMES } from '../../src/operations/names.ts';

/* A file that is read and changed entry by entry is what it is as a whole. */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-key-edit-'));
t.teardown(() => rmSync(folder, { recursive: true }));

const HASH = `sha256:${'a'.repeat(64)}`;
const entry = (id: string, more: object = {}): KeyEntry => ({
  ...{ id, name: `Key ${id}`, hash: HASH, access: 'r', state: 'active', expires_at: 'never', ...more },
});
const flow = (id: string, more = '') =>
  `{ id: ${id}, name: Key ${id}, hash: '${HASH}', access: r, expires_at: never${more} }`;
const block = (id: string, more = '') =>
  `- id: ${id}\n    name: Key ${id}\n    hash: ${HASH}\n    access: r\n    expires_at: never\n${more}`;

/** True = cut into entries. */
const FORMS: readonly (readonly [name: string, text: string, isCut: boolean])[] = [
  ['as the commands write it', stringify({ keys: [entry('one1'), entry('two2')] }), true],
  ['not indented', `keys:\n- ${flow('one1')}\n- ${flow('two2')}\n`, true],
  ['on lines of their own', `keys:\n  ${block('one1')}  ${block('two2', '    owner: a@b\n')}`, true],
  [
    'comments and empty lines',
    `# head\n\nkeys: # list\n\n  # one\n  ${block('one1', '    # in it\n    owner: x # y\n\n')}\n# two\n  ${block('two2', '    # last of it\n')}  # after\n# end\n`,
    true,
  ],
  [
    'lists in an entry',
    `keys:\n  ${block('one1', '    networks:\n    - 10.0.0.0/8\n    - 10.1.0.0/16\n')}  ${block('two2')}`,
    true,
  ],
  ['text over several lines', `keys:\n  ${block('one1', '    owner: "a\n\n      # b"\n')}  ${block('two2')}`, true],
  [
    'a list over several lines',
    `keys:\n  - { id: one1, name: Key one1, hash: '${HASH}',\n      access: r, expires_at: never }\n  - ${flow('two2')}\n`,
    true,
  ],
  [
    'an anchor in its own entry',
    `keys:\n  - ${flow('one1', ', not_before: &t 2026-01-01T00:00:00Z, created_at: *t')}\n  - ${flow('two2')}\n`,
    true,
  ],
  [
    'an anchor of another entry',
    `keys:\n  - ${flow('one1', ', owner: &o me')}\n  - ${flow('two2', ', owner: *o')}\n`,
    true,
  ],
  ['an entry that looks like one in a text', `keys:\n  - ${flow('one1', ', owner: "a\n  - b"')}\n`, true],
  [
    'an end of a text at the begin of a line',
    `keys:\n  ${block('one1', '    owner: "a\n  # b"\n')}  ${block('two2')}`,
    true,
  ],
  ['a text in a block', `keys:\n  ${block('one1', '    owner: |-\n      # me\n')}  ${block('two2')}`, false],
  ['quoted name of the list', `"keys":\n  - ${flow('one1')}\n`, false],
  ['marks of documents', `---\nkeys:\n  - ${flow('one1')}\n...\n`, false],
  ['a second document', `keys:\n  - ${flow('one1')}\n---\nkeys:\n  - ${flow('two2')}\n`, false],
  ['another member', `keys:\n  - ${flow('one1')}\nmore: 1\n`, false],
  ['no line end at the end', `keys:\n  - ${flow('one1')}`, false],
  ['line ends of Windows', `keys:\r\n  - ${flow('one1')}\r\n`, false],
  ['an entry that is less indented', `keys:\n  - ${flow('one1')}\n - ${flow('two2')}\n`, false],
  ['an entry that is more indented', `keys:\n  - ${flow('one1')}\n   - ${flow('two2')}\n`, true],
  ['the same id twice', `keys:\n  - ${flow('one1')}\n  - ${flow('one1')}\n`, true],
  ['a field twice', `keys:\n  - ${flow('one1', ', access: m')}\n`, true],
  ['a list of lists', `keys:\n  - - ${flow('one1')}\n  - ${flow('two2')}\n`, true],
  ['an empty list', 'keys: []\n', false],
];

/** The same file, in a form that is read as a whole. */
const whole = (text: string): string => text.replace(/^keys:/m, '"keys":');

t.test('each form is read as it is as a whole, with the same faults', async (t) => {
  for (const [name, text, isCut] of FORMS) {
    const cut = cutKeys(text);
    t.equal(cut !== undefined, isCut, `${name}: is cut`);
    if (cut) t.equal(joinKeys(cut), text, `${name}: nothing is lost`);
    const read = readKeyEntries('k.yaml', text);
    t.strictSame(read, readKeyEntries('k.yaml', whole(text)), name);
    t.strictSame(readKeyEntries('k.yaml', text), read, `${name}: again`);
  }
});

const CHANGES: readonly (readonly [name: string, change: KeyChange])[] = [
  ['add', { kind: 'add', entry: entry('three3', { networks: ['10.0.0.0/8'] }) }],
  [
    'set',
    { kind: 'set', id: 'one1', fields: { state: 'disabled', previous: { hash: HASH, until: '2027-01-01T00:00:00Z' } } },
  ],
  ['unset', { kind: 'set', id: 'one1', fields: { owner: null, networks: null } }],
  ['remove', { kind: 'remove', id: 'one1' }],
];

t.test('each change of each form gives what it gives as a whole, and leaves other entries as they are', async (t) => {
  const file = join(folder, 'k.yaml');
  const changed = async (text: string, change: KeyChange) => {
    writeFileSync(file, text);
    try {
      const entries = await editKeys(file, () => change);
      t.strictSame(readKeys(file), entries);
      return entries;
    } catch {
      t.equal(readFileSync(file, 'utf8'), text, 'nothing is written');
      return 'refused';
    }
  };
  for (const [name, text] of FORMS) {
    if (readKeyEntries('k.yaml', text).problems.length > 0) continue;
    for (const [what, change] of CHANGES) {
      if (change.kind !== 'add' && !text.includes('one1')) continue;
      const expected = await changed(whole(text), change);
      t.strictSame(await changed(text, change), expected, `${name}: ${what}`);
      t.equal(
        expected === 'refused',
        name === 'an anchor of another entry' && (what === 'remove' || what === 'unset'),
        `${name}: ${what}`,
      );
      const after = readFileSync(file, 'utf8');
      for (const comment of text.match(/# (?:head|list|two|last of it|after|end)\n/g) ?? []) {
        t.ok(after.includes(comment), `${name}: ${what}: ${comment.trim()}`);
      }
    }
  }
  const odd = `keys:\n  - ${flow('one1').replaceAll(', ', ',   ')}\n  - ${flow('two2')}\n`;
  await changed(odd, { kind: 'set', id: 'two2', fields: { state: 'disabled' } });
  t.ok(readFileSync(file, 'utf8').startsWith(odd.split('  - { id: two2')[0] ?? 'x'), 'the text of another entry stays');
});

t.test('JSON is changed as YAML is, whatever its form', async (t) => {
  const file = join(folder, 'k.json');
  const keys = [entry('one1', { owner: 'me' }), entry('two2')];
  for (const text of [JSON.stringify({ keys }), `{ keys: ${JSON.stringify(keys)} }`]) {
    for (const [what, change] of CHANGES) {
      writeFileSync(file, text);
      const entries = await editKeys(file, () => change);
      t.strictSame(JSON.parse(readFileSync(file, 'utf8')), { keys: entries }, what);
      writeFileSync(file, `"keys": ${JSON.stringify(keys)}\n`);
      t.strictSame(await editKeys(file, () => change), entries, what);
    }
  }
});

t.test('a long file is read ahead in parts, while other work goes on', async (t) => {
  const list = Array.from({ length: 1500 }, (_, at) => entry(`ahead${at}`, { owner: 'someone at a desk' }));
  for (const textOf of [(keys: object) => stringify({ keys }), (keys: object) => JSON.stringify({ keys })]) {
    const text = textOf(list);
    const { entries } = readKeyEntries('k.yaml', whole(text), OPERATION_NAMES);
    readKeyEntries('k.yaml', textOf([]), OPERATION_NAMES);
    let turns = 0;
    const count = setInterval(() => (turns += 1));
    await readKeysAhead(text, OPERATION_NAMES);
    clearInterval(count);
    t.ok(turns > 0 || text.startsWith('{'), `${turns} turns of other work`);
    const read = readKeyEntries('k.yaml', text, OPERATION_NAMES);
    t.strictSame(read, { entries, problems: [] });
    const wrong = textOf([...list, entry('ahead7')]);
    await readKeysAhead(wrong, OPERATION_NAMES);
    t.match(readKeyEntries('k.yaml', wrong, OPERATION_NAMES).problems, [{ message: /given twice/ }]);
  }
  let checks = 0;
  const check = (value: unknown) => {
    checks += 1;
    return value as KeyEntry;
  };
  const options = { check, operations: new Map(), most: 2000 };
  await readAhead(stringify({ keys: list }), options);
  t.equal(readQuickly(stringify({ keys: list }), options)?.length, 1500);
  t.equal(checks, 1500, 'each entry is read once');
  t.match(readKeyEntries('k.yaml', '').problems, [{ message: /must have `keys`/ }], 'nothing is no file');
});

t.test('what has not changed is the same object, and what has is read', async (t) => {
  const list = Array.from({ length: 50 }, (_, at) => entry(`key${at}`));
  for (const textOf of [(keys: object) => stringify({ keys }), (keys: object) => JSON.stringify({ keys })]) {
    const before = readKeyEntries('k.yaml', textOf(list)).entries;
    const after = readKeyEntries('k.yaml', textOf(list.with(7, entry('key7', { access: 'm' })))).entries;
    t.strictSame(
      after.flatMap((one, at) => (one === before[at] ? [] : [one.id, one.access])),
      ['key7', 'm'],
    );
    const known = new Map([['search', 'collection'] as const]);
    const access = [{ collections: ['a'], operations: ['serach'] }];
    const wrong = textOf([entry('key1', { access })]);
    t.equal(readKeyEntries('k.yaml', wrong).problems.length, 0, 'operations are not known');
    t.match(readKeyEntries('k.yaml', wrong, known).problems, [{ message: /unknown operation/ }], 'and now they are');
  }
});
