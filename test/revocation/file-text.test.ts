import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { hasEndMark } from '../../src/config/files/file-reads.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { MAX_ENTRIES, type RevocationEntry } from '../../src/revocation/entry.ts';
import { addEntry, readRevocations, removeEntries } from '../../src/revocation/file-text.ts';

const SECRET = 'never-to-be-seen';
const HAND = `# who left
revocations:
  # the lost laptop
  - kind: token
    value: id-1 # of the night job
    until: 2027-01-01T00:00:00Z
  - { kind: subject, value: alice }
`;

function problemsOf(text: string): readonly string[] {
  try {
    readRevocations('r.yaml', text);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place} ${message}`);
  }
}

t.test('a file as people write it', async (t) => {
  t.strictSame(readRevocations('r.yaml', HAND), [
    { kind: 'token', value: 'id-1', until: 1_798_761_600 },
    { kind: 'subject', value: 'alice' },
  ]);
  t.strictSame(readRevocations('r.yaml', 'revocations: []\n'), [], 'an empty list');
});

t.test('a file that cannot be used is refused with places, and without values', async (t) => {
  const FORM = 'the file must contain the list `revocations` and nothing else; an empty list is `revocations: []`';
  const cases: readonly (readonly [name: string, text: string, problems: readonly string[]])[] = [
    ['nothing in it: it may be being written', '', [`r.yaml:1:1 ${FORM}`]],
    ['comments only', '# nothing\n', [`r.yaml:1:1 ${FORM}`]],
    ['the list without its entries', 'revocations:\n', ['r.yaml:1:13 `revocations` must be a list']],
    ['another member', 'revoked: []\n', [`r.yaml:1:1 ${FORM}`]],
    ['one member too many', `revocations: []\n${SECRET}: 1\n`, [`r.yaml:1:1 ${FORM}`]],
    ['a text', `revocations: ${SECRET}\n`, ['r.yaml:1:14 `revocations` must be a list']],
    [
      'an entry that is none',
      `revocations:\n  - ${SECRET}\n`,
      ['r.yaml:2:5 a revocation must have members `kind` and `value`'],
    ],
    [
      'two mistakes',
      `revocations:\n  - kind: ${SECRET}\n    value: x\n  - kind: token\n    value: x\n    until: soon\n`,
      [
        'r.yaml:2:11 `kind` must be token, subject, key or before',
        'r.yaml:6:12 `until` must be a time (seconds since 1970, or like 2026-11-23T10:00:00Z)',
      ],
    ],
    [
      'a member twice',
      'revocations:\n  - kind: token\n    kind: key\n    value: x\n',
      ['r.yaml:3:5 not valid yaml (duplicate key)'],
    ],
    [
      'a member twice on one line',
      'revocations:\n  - { "kind": "token", "value": "x", "value": "y" }\n',
      ['r.yaml:2:38 not valid yaml (duplicate key)'],
    ],
    ['no yaml', `revocations:\n  - { kind: "${SECRET}\n`, ['r.yaml:3:1 not valid yaml (missing char)']],
  ];
  for (const [name, text, problems] of cases) {
    t.strictSame(problemsOf(text).slice(0, problems.length), problems, name);
    t.notMatch(problemsOf(text).join(), SECRET, name);
  }
  const many = `revocations:\n${'  - kind: x\n    value: y\n'.repeat(50)}`;
  t.strictSame([problemsOf(many).length, problemsOf(many).at(-1)], [21, 'r.yaml:2:11 and 30 more problems']);
});

t.test('an added entry leaves the rest as it was', async (t) => {
  const first: RevocationEntry = { kind: 'token', value: 'id-2', reason: 'a "quoted" #reason', at: 5 };
  const one = addEntry('r.yaml', HAND, first, 2);
  t.equal(one, `${HAND}  - { "kind": "token", "value": "id-2", "reason": "a \\"quoted\\" #reason", "at": 5 }\n`);
  const second: RevocationEntry = { kind: 'before', value: 7, subject: 'bob' };
  const two = addEntry('r.yaml', `${one}# the end\n`, second, 3);
  t.equal(two, `${one}  - { "kind": "before", "value": 7, "subject": "bob" }\n# the end\n`);
  t.same(readRevocations('r.yaml', two).length, 4);
  t.equal(
    addEntry('r.yaml', 'revocations: [] # none yet\n', second, 0),
    'revocations:\n  - { "kind": "before", "value": 7, "subject": "bob" }\n  # none yet\n',
    'an empty list becomes one of lines',
  );
  t.throws(() => addEntry('r.yaml', '', second, 0), ConfigError, 'a file of another form is left alone');
  t.throws(() => addEntry('r.yaml', HAND, second, 7), ConfigError, 'so is one that holds other entries than thought');
});

t.test('lines of our own read the same by themselves and by the YAML parser', async (t) => {
  const time = fc.integer({ min: 0, max: 100_000_000_000 });
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
  const common = { until: time, reason: text, at: time };
  const named = fc.record(
    { kind: fc.constantFrom('token' as const, 'subject' as const, 'key' as const), value: text, ...common },
    { requiredKeys: ['kind', 'value'], noNullPrototype: true },
  );
  const before = fc.record(
    { kind: fc.constant('before' as const), value: time, subject: text, ...common },
    { requiredKeys: ['kind', 'value'], noNullPrototype: true },
  );
  const entries: fc.Arbitrary<RevocationEntry[]> = fc.array(fc.oneof(named, before), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(entries, (list) => {
      let written = 'revocations: []\n';
      for (const [at, entry] of list.entries()) written = addEntry('r.yaml', written, entry, at);
      const byLine = readRevocations('r.yaml', written);
      // One more blank, and a line is not ours any more.
      const byYaml = readRevocations('r.yaml', written.replaceAll('  - { ', '  -  { '));
      deepStrictEqual(byLine, list);
      deepStrictEqual(byYaml, list);
    }),
    { numRuns: 60 },
  );
  t.pass('60 files of random entries');
});

t.test('a number of entries is the most', async (t) => {
  const line = (id: number) => `  - { "kind": "token", "value": "${id}" }\n`;
  const lines = Array.from({ length: MAX_ENTRIES }, (_, id) => line(id)).join('');
  t.equal(readRevocations('r.yaml', `revocations:\n${lines}`).length, MAX_ENTRIES);
  t.strictSame(problemsOf(`revocations:\n${lines}${line(MAX_ENTRIES)}`), [
    `r.yaml more than ${MAX_ENTRIES} revocations`,
  ]);
});

t.test('an end mark stays the last line when an entry is added', async (t) => {
  const entry = { kind: 'token', value: 'new' } as const;
  for (const mark of ['# end', '...']) {
    for (const list of [
      'revocations: []',
      'revocations:\n  - { kind: token, value: a }',
      'revocations:\n  - kind: token\n    value: a',
    ]) {
      const text = `${list}\n${mark}\n`;
      const next = addEntry('f', text, entry, readRevocations('f', text).length);
      t.ok(hasEndMark(next), JSON.stringify(next));
      t.ok(
        hasEndMark(addEntry('f', next, { ...entry, value: 'more' }, readRevocations('f', next).length)),
        'and again',
      );
    }
  }
});

t.test('an entry that is taken out leaves the rest as it was', async (t) => {
  const isAlice = (entry: RevocationEntry) => entry.value === 'alice';
  const cases: readonly (readonly [before: string, after: string])[] = [
    [
      '# note\nrevocations:\n  - { "kind": "subject", "value": "alice" }\n  - { "kind": "subject", "value": "bob" } \n# end\n',
      '# note\nrevocations:\n  - { "kind": "subject", "value": "bob" } \n# end\n',
    ],
    [
      '# note\nrevocations:\n  - kind: subject\n    value: alice\n  - kind: subject # why\n    value: bob\n',
      '# note\nrevocations:\n  - kind: subject # why\n    value: bob\n',
    ],
    ['# note\nrevocations:\n  - { "kind": "subject", "value": "alice" }\n', '# note\nrevocations: []\n'],
    ['revocations: [{ kind: subject, value: alice }]\n', 'revocations: []\n'],
  ];
  for (const [before, after] of cases) t.equal(removeEntries('r.yaml', before, isAlice), after);
  t.throws(() => removeEntries('r.yaml', 'other: []\n', isAlice), { code: 'ERR_CONFIG' });
});
