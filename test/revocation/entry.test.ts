import t from 'tap';
import { NO_REVOCATIONS } from '../../src/identity/revocations.ts';
import { entryId, isEntry, isOver, type RevocationEntry, readEntry } from '../../src/revocation/entry.ts';
import { foldEntries } from '../../src/revocation/fold.ts';

const NOON = 1_795_608_000; // 2026-11-25T12:00:00Z
const TIME = 'a time (seconds since 1970, or like 2026-11-23T10:00:00Z)';
const SECRET = 'never-to-be-seen';

const GOOD: readonly (readonly [name: string, input: unknown, entry: RevocationEntry])[] = [
  ['a token', { kind: 'token', value: 'id' }, { kind: 'token', value: 'id' }],
  ['a subject', { kind: 'subject', value: 'alice' }, { kind: 'subject', value: 'alice' }],
  ['a key', { kind: 'key', value: 'api_key' }, { kind: 'key', value: 'api_key' }],
  ['a time in seconds', { kind: 'before', value: NOON }, { kind: 'before', value: NOON }],
  ['a time as text', { kind: 'before', value: '2026-11-25T12:00:00Z' }, { kind: 'before', value: NOON }],
  ['a time of another zone', { kind: 'before', value: '2026-11-25T13:00:00+01:00' }, { kind: 'before', value: NOON }],
  ['a date', { kind: 'before', value: '2026-11-25' }, { kind: 'before', value: NOON - 43_200 }],
  [
    'a fraction counts whole',
    { kind: 'before', value: '2026-11-25T12:00:00.001Z' },
    { kind: 'before', value: NOON + 1 },
  ],
  [
    'everything that can be said',
    { kind: 'before', value: 5.5, subject: 'alice', until: '2026-11-25T12:00:00Z', reason: 'laptop lost', at: NOON },
    { kind: 'before', value: 6, subject: 'alice', until: NOON, reason: 'laptop lost', at: NOON },
  ],
];

const BAD: readonly (readonly [name: string, input: unknown, message: string])[] = [
  ['no object', SECRET, 'a revocation must have members `kind` and `value`'],
  ['nothing', null, 'a revocation must have members `kind` and `value`'],
  ['a list', [SECRET], 'a revocation must have members `kind` and `value`'],
  ['no kind', { value: SECRET }, '`kind` must be token, subject, key or before'],
  ['another kind', { kind: SECRET, value: 'x' }, '`kind` must be token, subject, key or before'],
  ['no value', { kind: 'token' }, '`value` must be text of 1 to 1024 characters'],
  ['an empty value', { kind: 'token', value: '' }, '`value` must be text of 1 to 1024 characters'],
  ['a number for text', { kind: 'subject', value: 7 }, '`value` must be text of 1 to 1024 characters'],
  ['a long value', { kind: 'key', value: 'x'.repeat(1025) }, '`value` must be text of 1 to 1024 characters'],
  ['no time', { kind: 'before', value: SECRET }, `\`value\` must be ${TIME}`],
  ['milliseconds', { kind: 'before', value: 1_795_608_000_000 }, `\`value\` must be ${TIME}`],
  ['a time without zone', { kind: 'before', value: '2026-11-25T12:00:00' }, `\`value\` must be ${TIME}`],
  ['a time before 1970', { kind: 'before', value: -1 }, `\`value\` must be ${TIME}`],
  ['no number', { kind: 'before', value: Number.NaN }, `\`value\` must be ${TIME}`],
  ['a bad until', { kind: 'token', value: 'x', until: SECRET }, `\`until\` must be ${TIME}`],
  [
    'a long reason',
    { kind: 'token', value: 'x', reason: 'x'.repeat(201) },
    '`reason` must be text of 1 to 200 characters',
  ],
  [
    'a subject where none belongs',
    { kind: 'token', value: 'x', subject: 'alice' },
    'unknown member `subject`: allowed are kind, value, until, reason, at',
  ],
  [
    'a member that may be a secret',
    { kind: 'before', value: 1, [SECRET]: 1 },
    'unknown member: allowed are kind, value, subject, until, reason, at',
  ],
];

t.test('what is a revocation', async (t) => {
  for (const [name, input, entry] of GOOD) t.strictSame(readEntry(input), entry, name);
});

t.test('what is none, and why, without quoting it', async (t) => {
  for (const [name, input, message] of BAD) {
    const read = readEntry(input);
    t.strictSame(isEntry(read) ? [] : read.map((problem) => problem.message), [message], name);
    t.notMatch(JSON.stringify(isEntry(read) ? read : read.map((problem) => problem.message)), SECRET, name);
  }
});

t.test('an id is all that decides, and nothing else', async (t) => {
  const base: RevocationEntry = { kind: 'token', value: 'a' };
  const same = { ...base, reason: 'other', at: 7 };
  t.equal(entryId(base), entryId(same));
  const others: readonly RevocationEntry[] = [
    base,
    { kind: 'subject', value: 'a' },
    { kind: 'token', value: 'b' },
    { kind: 'token', value: 'a', until: 7 },
    { kind: 'before', value: 1 },
    { kind: 'before', value: 1, subject: 'a' },
    { kind: 'before', value: 2, subject: 'a' },
  ];
  t.equal(new Set(others.map(entryId)).size, others.length, 'each of these is another one');
});

t.test('an entry is over one second after its time', async (t) => {
  const entry: RevocationEntry = { kind: 'token', value: 'a', until: NOON };
  t.strictSame(
    [NOON - 1, NOON, NOON + 1].map((now) => isOver(entry, now)),
    [false, false, true],
  );
  t.equal(isOver({ kind: 'token', value: 'a' }, Number.MAX_SAFE_INTEGER), false, 'without a time never');
});

t.test('entries are folded into one value', async (t) => {
  const entries: readonly RevocationEntry[] = [
    { kind: 'token', value: 'a' },
    { kind: 'token', value: 'a', until: NOON },
    { kind: 'token', value: 'b', until: NOON - 1 },
    { kind: 'subject', value: 'alice' },
    { kind: 'key', value: 'k' },
    { kind: 'before', value: 200 },
    { kind: 'before', value: 100 },
    { kind: 'before', value: 900, until: NOON - 1 },
    { kind: 'before', value: 300, subject: 'bob' },
    { kind: 'before', value: 400, subject: 'bob' },
    { kind: 'before', value: 5, subject: 'carol' },
  ];
  t.strictSame(foldEntries(entries, NOON), {
    tokens: new Set(['a']),
    subjects: new Set(['alice']),
    keys: new Set(['k']),
    issuedBefore: 200,
    issuedBeforeBySubject: new Map([
      ['bob', 400],
      ['carol', 5],
    ]),
    unknown: false,
  });
  t.strictSame(foldEntries([], NOON), { ...NO_REVOCATIONS }, 'nothing is nothing');
  t.equal(foldEntries([], NOON, true).unknown, true);
});
