import t from 'tap';
import {
  FAR_AHEAD_MS,
  type KeyMark,
  type KeyRecords,
  type KnownKeys,
  markIn,
  mergeKeys,
  NOTHING_KNOWN,
  recordsIn,
} from '../../src/named-keys/redis/records.ts';

/* What a gateway takes of a read from Redis, and what it gives back to a Redis that has lost something. */

const NOW = 1_700_000_000_000;
const FAR = NOW + FAR_AHEAD_MS + 1;
const HASH = `sha256:${'a'.repeat(64)}`;

function textOf(id: string, version: number | undefined, state = 'active'): string {
  const record = JSON.stringify({ id, name: 'Team', hash: HASH, access: 'r', state, expires_at: 'never' });
  return version === undefined ? record : `${version} ${record}`;
}

/** Records from `letter@version`, with `!` for a disabled key and `?` for a damaged record. */
function records(...written: string[]): KeyRecords {
  const fields = written.map((one) => {
    const [, letter = '', version, sign] = /^(\w)@(\d+)([!?]?)$/.exec(one) ?? [];
    const id = `key${letter}`;
    const text = textOf(sign === '?' ? 'other' : id, Number(version), sign === '!' ? 'disabled' : 'active');
    return [id, text] as const;
  });
  return recordsIn(new Map(fields), new Map(), NOW);
}

const shown = (found: Iterable<readonly [string, { readonly version: number; readonly entry: unknown }]>): string[] =>
  [...found].map(([id, { version, entry }]) => {
    const state = Object(entry).state;
    return `${id.slice(3)}@${version}${entry === undefined ? '?' : state === 'disabled' ? '!' : ''}`;
  });

const mark = (version: number | undefined, origin = 'o'): KeyMark => ({
  text: `1 ${version} ${origin}`,
  version,
  origin,
});
const known = (version: number, ...written: string[]): KnownKeys => ({
  ...{ version, origin: 'o', records: records(...written) },
});

interface Case {
  readonly name: string;
  readonly known: KnownKeys;
  readonly mark: KeyMark | undefined;
  readonly stored: KeyRecords;
  readonly after: readonly string[];
  readonly lost?: readonly string[];
  readonly deleted?: readonly string[];
  readonly version?: number;
  readonly isMarkWrong?: boolean;
}

const CASES: readonly Case[] = [
  {
    name: 'the first read is taken as it is',
    known: NOTHING_KNOWN,
    ...{ mark: mark(9), stored: records('a@3', 'b@9!'), after: ['a@3', 'b@9!'] },
  },
  {
    name: 'a changed, an added and a deleted key',
    known: known(5, 'a@1', 'b@2'),
    ...{ mark: mark(8), stored: records('a@7!', 'c@6'), after: ['a@7!', 'c@6'] },
  },
  {
    name: 'a Redis that lost everything gets it back',
    known: known(5, 'a@1', 'b@5!'),
    ...{ mark: undefined, stored: records(), after: ['a@1', 'b@5!'], lost: ['a@1', 'b@5!'] },
  },
  {
    name: 'a Redis that was emptied and written to since keeps what is new',
    known: known(5, 'a@1'),
    ...{ mark: mark(9, 'p'), stored: records('c@9'), after: ['c@9', 'a@1'], lost: ['a@1'] },
  },
  {
    name: 'an older snapshot makes no disabled key active',
    known: known(5, 'a@5!', 'b@2'),
    ...{ mark: mark(2), stored: records('a@1', 'b@2'), after: ['b@2', 'a@5!'], lost: ['a@5!'] },
  },
  {
    name: 'an older snapshot brings no deleted key back',
    known: known(5, 'b@2'),
    ...{ mark: mark(2), stored: records('a@1', 'b@2'), after: ['b@2'], deleted: ['a'] },
  },
  {
    name: 'nor does one that was written to since',
    known: known(5, 'b@5!'),
    ...{ mark: mark(9), stored: records('a@1', 'b@2', 'c@9'), after: ['c@9', 'b@5!'] },
    ...{ lost: ['b@5!'], deleted: ['a'] },
  },
  {
    name: 'records of another hash are neither taken nor removed',
    known: known(5, 'b@2'),
    ...{ mark: mark(3, 'p'), stored: records('a@1'), after: ['b@2'], lost: ['b@2'] },
  },
  {
    name: 'a damaged record is refused alone, and is written back to nobody',
    known: known(5, 'a@1', 'b@2'),
    ...{ mark: mark(6), stored: records('a@6?', 'b@2'), after: ['a@6?', 'b@2'] },
  },
  {
    name: 'a repaired record takes the place of a damaged one, whatever its version',
    known: known(6, 'a@6?'),
    ...{ mark: mark(6), stored: records('a@4'), after: ['a@4'] },
  },
  {
    name: 'a mark that is not believed is no newer truth',
    known: known(5, 'a@5!', 'b@2'),
    ...{ mark: mark(undefined), stored: records('a@1', 'b@2', 'c@9'), after: ['b@2', 'c@9', 'a@5!'], lost: ['a@5!'] },
    ...{ version: 9, isMarkWrong: true },
  },
  {
    name: 'nor at the first read',
    known: NOTHING_KNOWN,
    ...{ mark: mark(undefined), stored: records('a@1', `b@${FAR}`), after: ['a@1', 'b@Infinity?'] },
    ...{ version: 1, isMarkWrong: true },
  },
  {
    name: 'nor does it bring a deleted key back',
    known: known(5, 'a@1', 'b@2'),
    ...{ mark: mark(undefined), stored: records('b@2'), after: ['b@2'], isMarkWrong: true },
    version: 5,
  },
];

t.test('what is known after a read', async (t) => {
  for (const one of CASES) {
    const { known: next, lost, deleted, isMarkWrong } = mergeKeys(one.known, one.mark, one.stored);
    t.strictSame(shown(next.records), one.after, one.name);
    t.strictSame(shown(lost), one.lost ?? [], `${one.name}: lost`);
    t.strictSame(
      deleted,
      (one.deleted ?? []).map((letter) => `key${letter}`),
      `${one.name}: deleted`,
    );
    t.equal(next.version, one.version ?? Math.max(one.known.version, one.mark?.version ?? 0), `${one.name}: version`);
    const isBehind = one.mark?.origin === 'o' && (one.mark.version ?? 0) < one.known.version;
    t.equal(isMarkWrong, one.isMarkWrong ?? isBehind, `${one.name}: the mark`);
  }
});

t.test('records that are none, each alone', async (t) => {
  const bad = [
    '',
    'x',
    '1',
    '1 {',
    '1 []',
    textOf('team', undefined),
    textOf('team', FAR),
    textOf('other', 1),
    `1 ${'{'.repeat(9999)}`,
  ];
  for (const text of bad) {
    const found = recordsIn(
      new Map([
        ['team', text],
        ['good', textOf('good', 1)],
      ]),
      new Map(),
      NOW,
    );
    t.equal(found.get('team')?.settings, undefined, text.slice(0, 40));
    t.equal(found.get('good')?.settings?.id, 'good');
  }
  const first = recordsIn(new Map([['good', textOf('good', 1)]]), new Map(), NOW);
  t.equal(recordsIn(new Map([['good', textOf('good', 1)]]), first, NOW).get('good'), first.get('good'), 'read once');
});

t.test('a hash that is not of named keys', async (t) => {
  t.equal(markIn(new Map(), NOW), undefined);
  t.strictSame(markIn(new Map([['@', '1 12 abc']]), NOW), { text: '1 12 abc', version: 12, origin: 'abc' });
  t.match(markIn(new Map([['@', `1 ${FAR - 1} a`]]), NOW), { version: FAR - 1 });
  t.match(markIn(new Map([['@', `1 ${FAR} a`]]), NOW), { version: undefined, origin: 'a' });
  t.throws(() => markIn(new Map([['a', 'b']]), NOW), { message: /not of this gateway/ });
  for (const text of ['1', '2 12 abc', '1 12', '1 x abc', '1 12 a b', `1 ${'9'.repeat(17)} a`]) {
    t.throws(() => markIn(new Map([['@', text]]), NOW), { message: /another format/ }, text);
  }
});
