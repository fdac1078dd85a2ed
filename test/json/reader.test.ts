import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { JsonFault, type JsonFaultReason } from '../../src/json/fault.ts';
import { JsonReader, type JsonReaderOptions } from '../../src/json/reader.ts';
import { runs } from '../support/generators/runs.ts';
import { timesDearer } from '../support/reference.ts';

/** Builds the value through the pull interface: what a caller sees of it. Objects become lists of members. */
function read(reader: JsonReader): unknown {
  switch (reader.peek()) {
    case 'object': {
      const members: [string, unknown][] = [];
      reader.readObject((key) => members.push([key, read(reader)]));
      return { members };
    }
    case 'array': {
      const items: unknown[] = [];
      reader.readArray((index) => {
        items[index] = read(reader);
      });
      return items;
    }
    case 'string':
      return reader.readString();
    case 'number':
      return Number(reader.readNumberText());
    case 'null':
      reader.readNull();
      return null;
    default:
      return reader.readBoolean();
  }
}

function readAll(bytes: Uint8Array, options?: JsonReaderOptions): unknown {
  const reader = new JsonReader(bytes, options);
  const value = read(reader);
  reader.end();
  return value;
}

function skipAll(bytes: Uint8Array, options?: JsonReaderOptions): { start: number; end: number } {
  const reader = new JsonReader(bytes, options);
  const span = reader.skipValue();
  reader.end();
  return span;
}

/** The same form made of what JSON.parse gives, for values without repeated or reordered keys. */
function asMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asMembers);
  if (value === null || typeof value !== 'object') return value;
  return { members: Object.entries(value).map(([key, inner]) => [key, asMembers(inner)]) };
}

/** JSON.parse moves numeric keys to the front: members are compared by key, numbers with -0 as 0. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value === 'number') return value + 0;
  if (value === null || typeof value !== 'object') return value;
  const members = Object.values(value)[0] as [string, unknown][];
  return {
    members: members.map(([key, inner]) => [key, sorted(inner)]).sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
  };
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (value === null || typeof value !== 'object') return true;
  return Object.entries(value).every(([key, inner]) => key.isWellFormed() && isWellFormed(inner));
}

function faultOf(run: () => unknown): JsonFault | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof JsonFault) return error;
    throw error;
  }
  return undefined;
}

const text = (value: string): Buffer => Buffer.from(value, 'utf8');

t.test('values are given as they are written', async (t) => {
  t.same(readAll(text(' {"a" : [1, -0.5e+3 ,true,false,null,"x"] , "a":{} }\r\n\t')), {
    members: [
      ['a', [1, -500, true, false, null, 'x']],
      ['a', { members: [] }],
    ],
  });
  t.equal(new JsonReader(text('18446744073709551615')).readNumberText(), '18446744073709551615');
  t.equal(
    readAll(text('"\\u0061\\/\\"\\\\\\b\\f\\n\\r\\t\\ud83d\\ude00é\u{1f600}"')),
    'a/"\\\b\f\n\r\t\u{1f600}é\u{1f600}',
  );
  t.same(readAll(text('{"lookup\\u005ffrom":1,"__proto__":2}')), {
    members: [
      ['lookup_from', 1],
      ['__proto__', 2],
    ],
  });
  t.equal(readAll(text('"\ufeffx"')), '\ufeffx', 'a byte order mark inside a string is a character');
});

const refused: readonly [name: string, bytes: Buffer, reason: JsonFaultReason][] = [
  ['nothing', text(''), 'syntax'],
  ['white space only', text(' \n'), 'syntax'],
  ['a byte order mark', text('\ufeff{}'), 'syntax'],
  ['UTF-16', Buffer.from('{}', 'utf16le'), 'syntax'],
  ['a no-break space', text('\u00a0{}'), 'syntax'],
  ['a form feed', text('\f{}'), 'syntax'],
  ['a comment', text('[1/*x*/]'), 'syntax'],
  ['a trailing comma in an array', text('[1,]'), 'syntax'],
  ['a trailing comma in an object', text('{"a":1,}'), 'syntax'],
  ['a leading comma', text('[,1]'), 'syntax'],
  ['a missing colon', text('{"a" 1}'), 'syntax'],
  ['a missing value', text('{"a":}'), 'syntax'],
  ['a key that is no string', text('{1:1}'), 'syntax'],
  ['a wrong closing', text('[1}'), 'syntax'],
  ['an open array', text('[1'), 'syntax'],
  ['an open object', text('{"a":1'), 'syntax'],
  ['a second value', text('{}{}'), 'syntax'],
  ['trailing bytes', text('{}x'), 'syntax'],
  ['a NUL behind', text('{}\0'), 'syntax'],
  ['NaN', text('NaN'), 'syntax'],
  ['Infinity', text('-Infinity'), 'syntax'],
  ['a leading zero', text('01'), 'syntax'],
  ['a leading plus', text('+1'), 'syntax'],
  ['a bare minus', text('-'), 'syntax'],
  ['a bare dot', text('.5'), 'syntax'],
  ['a dot without digits', text('1.'), 'syntax'],
  ['an exponent without digits', text('1e+'), 'syntax'],
  ['a hexadecimal number', text('0x10'), 'syntax'],
  ['a literal in capitals', text('True'), 'syntax'],
  ['a literal cut short', text('nul'), 'syntax'],
  ['a literal run on', text('nullx'), 'syntax'],
  ['single quotes', text("'a'"), 'syntax'],
  ['an open string', text('"a'), 'syntax'],
  ['a string ending in a backslash', text('"a\\'), 'syntax'],
  ['a control character in a string', text('"a\nb"'), 'syntax'],
  ['a control character behind an escape', text('"\\n\u0001"'), 'syntax'],
  ['an unknown escape', text('"\\x41"'), 'syntax'],
  ['a short escape', text('"\\u12"'), 'syntax'],
  ['an escape with a sign', text('"\\u-001"'), 'syntax'],
  ['a lone high surrogate', text('"\\ud800"'), 'surrogate'],
  ['a lone low surrogate', text('"\\udc00"'), 'surrogate'],
  ['two high surrogates', text('"\\ud800\\ud800"'), 'surrogate'],
  ['a high surrogate before a letter', text('"\\ud800a"'), 'surrogate'],
  ['a high surrogate before another escape', text('"\\ud800\\n"'), 'surrogate'],
  ['a byte that is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'utf8'],
  ['an overlong sequence', Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'utf8'],
  ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'utf8'],
  ['a sequence cut short', Buffer.from([0x22, 0xe2, 0x82, 0x22]), 'utf8'],
];

for (const [name, bytes, reason] of refused) {
  t.test(`${name} is refused, read or skipped, alone or nested`, async (t) => {
    t.equal(faultOf(() => readAll(bytes))?.reason, reason, 'read');
    t.equal(faultOf(() => skipAll(bytes))?.reason, reason, 'skipped');
    const nested = Buffer.concat([text('{"k":['), bytes, text(']}')]);
    if (reason !== 'syntax') t.equal(faultOf(() => skipAll(nested))?.reason, reason, 'skipped inside');
  });
}

t.test('leniency lets damaged strings pass where they are skipped, nowhere else', async (t) => {
  const damaged = Buffer.concat([
    text('{"a":{"'),
    Buffer.from([0xff]),
    text('":"\\ud800"},"b":"'),
    Buffer.from([0xff]),
    text('"}'),
  ]);
  const lenient = { lenientStrings: true };
  t.same(skipAll(damaged, lenient), { start: 0, end: damaged.length });
  t.equal(faultOf(() => skipAll(damaged))?.reason, 'utf8');
  t.equal(faultOf(() => readAll(damaged, lenient))?.reason, 'utf8');
  t.equal(faultOf(() => skipAll(text('"\\x"'), lenient))?.reason, 'syntax');
  t.equal(faultOf(() => skipAll(text('"\n"'), lenient))?.reason, 'syntax');
});

t.test('nesting is bounded, and what is deep costs no stack', async (t) => {
  const nested = (depth: number): Buffer => text('['.repeat(depth) + ']'.repeat(depth));
  t.equal(
    faultOf(() => readAll(nested(64))),
    undefined,
  );
  t.equal(faultOf(() => readAll(nested(65)))?.reason, 'depth');
  t.equal(
    faultOf(() => skipAll(nested(64))),
    undefined,
  );
  t.equal(faultOf(() => skipAll(nested(65)))?.reason, 'depth');
  const reader = new JsonReader(text(`{"a":${'['.repeat(64)}`));
  t.equal(
    faultOf(() => reader.readObject(() => reader.skipValue()))?.reason,
    'depth',
    'read and skipped levels add up',
  );
  const bomb = Buffer.alloc(1 << 20, '[');
  t.equal(faultOf(() => skipAll(bomb))?.reason, 'depth');
  const refused = () => faultOf(() => skipAll(bomb));
  const dearer = timesDearer(refused, () => faultOf(() => skipAll(bomb, { maxDepth: Infinity })));
  t.ok(dearer < 0.5, `refused at the limit, not at the end: ${dearer.toFixed(3)} times what the end costs`);
  t.equal(faultOf(() => skipAll(bomb, { maxDepth: Infinity }))?.reason, 'syntax');
  t.equal(
    faultOf(() => skipAll(nested(1 << 19), { maxDepth: Infinity })),
    undefined,
  );
  t.equal(
    faultOf(() => skipAll(text(`${'{"a":'.repeat(1 << 18)}1${'}'.repeat(1 << 18)}`), { maxDepth: Infinity })),
    undefined,
  );
});

t.test('a million keys, numeric-like and equal ones too, are read in time that grows with their bytes', async (t) => {
  const objectOf = (count: number) => {
    const members = Array.from({ length: count }, (_, index) => `"${(1_000_000 + index) * 1_048_576}":0`);
    return text(`{${members.join(',')},"__proto__":1,"__proto__":2}`);
  };
  const keysOf = (bytes: Buffer): number => {
    let keys = 0;
    const reader = new JsonReader(bytes);
    reader.readObject(() => {
      keys += 1;
      reader.skipValue();
    });
    reader.end();
    return keys;
  };
  const [many, few] = [objectOf(1_000_000), objectOf(62_500)];
  t.equal(keysOf(many), 1_000_002);
  const dearer = timesDearer(
    () => keysOf(many),
    () => keysOf(few),
  );
  t.ok(dearer < 64, `16 times the keys cost ${dearer.toFixed(1)} times as much: no key is stored or hashed`);
});

t.test('positions cut values out of the bytes', async (t) => {
  const bytes = text(' {"a": [1, 2] , "b":"x"}');
  const reader = new JsonReader(bytes);
  const cut: string[] = [];
  reader.readObject(() => {
    const { start, end } = reader.skipValue();
    cut.push(bytes.toString('utf8', start, end));
  });
  reader.end();
  t.same(cut, ['[1, 2]', '"x"']);
  t.equal(reader.position, bytes.length);
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset + 7, 6);
  t.same(readAll(view), [1, 2], 'a view into a larger buffer is read within its bounds');
});

t.test('a callback that takes no value or two is a fault', async (t) => {
  const none = new JsonReader(text('[1]'));
  t.ok(faultOf(() => none.readArray(() => {})));
  const two = new JsonReader(text('[1,2]'));
  t.ok(
    faultOf(() =>
      two.readArray(() => {
        two.skipValue();
        two.skipValue();
      }),
    ),
  );
});

/** White space between tokens and escapes inside strings, drawn at random: the same value in other words. */
const rewritten = fc
  .tuple(fc.jsonValue({ maxDepth: 6 }), fc.infiniteStream(fc.nat(15)))
  .map(([value, choices]) => ({ value, text: write(value, choices) }));

function write(value: unknown, choices: Iterator<number>): string {
  const blank = () => ['', '', '', ' ', '\n', '\t\r'][choices.next().value % 6] ?? '';
  const string = (plain: string) => {
    let out = '"';
    for (let index = 0; index < plain.length; index += 1) {
      const unit = plain.charCodeAt(index);
      const escaped = choices.next().value === 0 || (unit & 0xf800) === 0xd800;
      out += escaped ? `\\u${unit.toString(16).padStart(4, '0')}` : JSON.stringify(plain[index]).slice(1, -1);
    }
    return `${out}"`;
  };
  const any = (inner: unknown): string => {
    if (typeof inner === 'string') return blank() + string(inner) + blank();
    if (Array.isArray(inner)) return `${blank()}[${blank()}${inner.map(any).join(',')}]${blank()}`;
    if (inner === null || typeof inner !== 'object') return blank() + JSON.stringify(inner) + blank();
    const members = Object.entries(inner).map(([key, member]) => `${blank()}${string(key)}${blank()}:${any(member)}`);
    return `${blank()}{${blank()}${members.join(',')}}${blank()}`;
  };
  return any(value);
}

t.test('any valid text reads as JSON.parse reads it', async (t) => {
  fc.assert(
    fc.property(rewritten, ({ text: source }) => {
      const parsed: unknown = JSON.parse(source);
      if (isWellFormed(parsed)) {
        assert.deepEqual(sorted(readAll(text(source))), sorted(asMembers(parsed)));
        skipAll(text(source));
      } else {
        assert.equal(faultOf(() => readAll(text(source)))?.reason, 'surrogate');
        assert.equal(faultOf(() => skipAll(text(source)))?.reason, 'surrogate');
      }
    }),
    { numRuns: runs(1500) },
  );
  t.pass('held for every case');
});

t.test('any damaged text is refused where JSON.parse refuses it, and read and skipped agree', async (t) => {
  let valid = 0;
  let invalid = 0;
  fc.assert(
    fc.property(
      rewritten,
      fc.nat(),
      fc.constantFrom(...'{}[],:"\\0e-+. tn\u0001'),
      fc.nat(2),
      ({ text: source }, at, char, kind) => {
        const cut = at % (source.length + 1);
        const damaged = source.slice(0, cut) + (kind === 0 ? '' : char) + source.slice(kind === 2 ? cut : cut + 1);
        if (!damaged.isWellFormed()) return;
        let parsed: unknown;
        let fails = false;
        try {
          parsed = JSON.parse(damaged);
        } catch {
          fails = true;
        }
        const fault = faultOf(() => readAll(text(damaged)));
        if (fails) invalid += 1;
        else valid += 1;
        const lone = !fails && !isWellFormed(parsed);
        const skipFault = faultOf(() => skipAll(text(damaged)));
        if (lone) return; // stricter on purpose
        if ((fault !== undefined) !== fails)
          throw new Error(`read ${fault?.message} where JSON.parse ${fails ? 'fails' : 'reads'}: ${damaged}`);
        if ((skipFault !== undefined) !== fails) throw new Error(`skip ${skipFault?.message}: ${damaged}`);
      },
    ),
    { numRuns: runs(3000) },
  );
  t.ok(valid > runs(100) && invalid > runs(100), 'both sides were met');
});

t.test('random bytes never throw anything but a JsonFault', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      faultOf(() => readAll(bytes));
      faultOf(() => skipAll(bytes, { maxDepth: Infinity, lenientStrings: true }));
    }),
    { numRuns: runs(3000) },
  );
  t.pass('held for every case');
});

/** Vectors in all forms, long ones among them. */
const numberTexts = fc.constantFrom('1', '-0.25', '1e-7', '18446744073709551615', ' 3 ', 'null');
const vectorTexts = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    fc.tuple(fc.array(numberTexts, { maxLength: 5 }), fc.constantFrom(1, 2, 90)).map(
      ([items, times]) =>
        `[${Array.from({ length: times }, () => items.join())
          .filter(Boolean)
          .join(', ')}]`,
    ),
    fc.array(tie('any'), { maxLength: 3 }).map((items) => `[${items.join()}]`),
    fc.array(tie('any'), { maxLength: 3 }).map((items) => `{${items.map((text, at) => `"v]${at}":${text}`).join()}}`),
    fc.constantFrom('"]"', '{"text":"a]","model":"m"}'),
  ),
})).any;

t.test('a long array with strings, arrays or objects in it is read', async (t) => {
  const long = '0.123456789,'.repeat(20);
  for (const inside of ['"]"', '[1]', '{"a":[1]}', '"\\"]"', '[[1],[2]]']) {
    for (const text of [`[${inside},${long}1]`, `[${long}${inside}]`, `[[${long}1],${inside}]`]) {
      const reader = new JsonReader(Buffer.from(`${text} `));
      t.same(reader.skipVectors(), { start: 0, end: text.length }, text);
    }
  }
  const deep = new JsonReader(Buffer.from(`[[${long}1]]`), { maxDepth: 1 });
  t.equal(faultOf(() => deep.skipVectors())?.reason, 'depth');
});

t.test('vectors end where they end: skipped, or read to the last digit', async (t) => {
  let flat = 0;
  await fc.assert(
    fc.property(
      vectorTexts,
      fc.nat(),
      fc.constantFrom('', '', '', '', ' ', ']', '[', '"', '{', '}', 'x', ','),
      (text, place, odd) => {
        const at = place % (text.length + 1);
        const bytes = Buffer.from(`{"v":${text.slice(0, at)}${odd}${text.slice(at)},"after":1}`);
        const keys: string[] = [];
        const reader = new JsonReader(bytes);
        const fault = faultOf(() => {
          reader.readObject((key) => {
            keys.push(key);
            const { start, end } = reader.skipVectors();
            if (end - start > 400) flat += 1;
          });
          reader.end();
        });
        let parsed: unknown;
        try {
          parsed = JSON.parse(bytes.toString());
        } catch {
          // A strict reader refuses the whole text: nothing of it counts.
          return true;
        }
        return fault === undefined && isDeepStrictEqual(keys, Object.keys(parsed ?? {}));
      },
    ),
  );
  t.ok(flat > 0, 'some were long');
});

const isNumbers = (value: unknown): boolean => Array.isArray(value) && value.every((item) => typeof item === 'number');

t.test('an array of numbers, or of such arrays, ends where it ends', async (t) => {
  const deepest = { maxDepth: 3 };
  for (const [name, text, end] of [
    ['numbers', '[1, -2.5e3,0]', 13],
    ['nothing', '[ ]', 3],
    ['arrays of numbers', '[[1],[],[2,3]]]', 14],
    ['numbers that upstream refuses', '[1.,,+-]', 8],
    ['both kinds', '[1,[2]]', undefined],
    ['both kinds, the other way round', '[[2],1]', undefined],
    ['three levels', '[[[1]]]', undefined],
    ['null', '[1,null]', undefined],
    ['a text', '["1"]', undefined],
    ['an object', '[{"a":1}]', undefined],
    ['not closed', '[1,2', undefined],
    ['not an array', '1', undefined],
  ] as const) {
    const reader = new JsonReader(Buffer.from(text), deepest);
    t.same(reader.skipNumbers()?.end, end, name);
    t.equal(reader.position, end ?? 0, `${name}: consumed`);
  }
  const deep = new JsonReader(Buffer.from('[[1]]'), { maxDepth: 1 });
  t.equal(faultOf(() => deep.skipNumbers())?.reason, 'depth', 'deeper than allowed');
});

t.test('arrays are taken for numbers exactly when a strict reader finds numbers in them', async (t) => {
  let taken = 0;
  await fc.assert(
    fc.property(vectorTexts, fc.nat(), fc.constantFrom('', '', ']', '[', '"', ',', '1', 'l'), (text, place, odd) => {
      const at = place % (text.length + 1);
      const whole = `${text.slice(0, at)}${odd}${text.slice(at)}`;
      const reader = new JsonReader(Buffer.from(whole));
      let parsed: unknown;
      try {
        parsed = JSON.parse(whole);
      } catch {
        return true;
      }
      const expected = isNumbers(parsed) || (Array.isArray(parsed) && parsed.every(isNumbers));
      if (expected) taken += 1;
      return isDeepStrictEqual(reader.skipNumbers()?.end, expected ? whole.trimEnd().length : undefined);
    }),
  );
  t.ok(taken > 0, 'some were');
});
