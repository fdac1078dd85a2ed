import fc from 'fast-check';
import t from 'tap';
import { textTable } from '../../src/cli/frame/table.ts';
import { jsonLine, printable, printableLines } from '../../src/text/printable.ts';

const HARMFUL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

t.test('characters that move, hide or reorder others are escaped, and others stay', async (t) => {
  const cases: readonly (readonly [text: string, shown: string])[] = [
    ['docs', 'docs'],
    ['Größe 日本 🚀', 'Größe 日本 🚀'],
    ['a\r\nb\t', 'a\\u000d\\u000ab\\u0009'],
    ['\u001b[2J\u009b', '\\u001b[2J\\u009b'],
    ['\u202egpj.exe\u2066', '\\u202egpj.exe\\u2066'],
    ['a\u200b\u2028\u2029\ufeff', 'a\\u200b\\u2028\\u2029\\ufeff'],
    ['\ud800', '\\ud800'],
    ['\u{e0041}', '\\udb40\\udc41'],
  ];
  for (const [text, shown] of cases) t.equal(printable(text), shown);
});

t.test('any text becomes printable, and a line of JSON reads back unchanged', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const line = jsonLine({ [text]: text });
      if (HARMFUL.test(printable(text)) || HARMFUL.test(line)) return false;
      return Object.entries(JSON.parse(line) as object).every(([name, value]) => name === text && value === text);
    }),
  );
  t.pass();
});

t.test('line breaks of a text stay', async (t) => {
  t.equal(printableLines('a\r\nb\u202e\n'), 'a\\u000d\nb\\u202e\n');
});

t.test('a table has one line for each row, whatever its cells hold', async (t) => {
  t.equal(
    textTable(
      ['ID', 'NAME'],
      [
        ['a', 'b\nc'],
        ['longer', '\u202e'],
      ],
    ),
    'ID      NAME\na       b\\u000ac\nlonger  \\u202e\n',
  );
});
