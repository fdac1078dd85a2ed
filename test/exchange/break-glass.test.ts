import t from 'tap';
import { REASON_HEADER, reasonIn } from '../../src/exchange/break-glass.ts';

/* The reason of a request with a break-glass key, as headers say it: read, or not taken for one. */

const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const long = 'because '.repeat(40);

const CASES: readonly [name: string, headers: readonly string[], reason: string | undefined][] = [
  ['a text', [REASON_HEADER, 'ticket 4711'], 'ticket 4711'],
  ['its name in another case', ['X-Qdrant-Gateway-REASON', 'ticket 4711'], 'ticket 4711'],
  ['beside others', ['host', 'x', REASON_HEADER, 'ticket 4711', 'a', 'b'], 'ticket 4711'],
  ['one letter', [REASON_HEADER, 'x'], 'x'],
  ['letters beyond ASCII', [REASON_HEADER, bytes('Störung в поиске')], 'Störung в поиске'],
  ['blanks around it', [REASON_HEADER, ' \t ticket  4711 '], 'ticket 4711'],
  ['percent signs are literal', [REASON_HEADER, 'a%0d%0ab'], 'a%0d%0ab'],
  ['line ends become blanks', [REASON_HEADER, bytes('a\u2028b\u0085c\rd')], 'a b c d'],
  ['directions of text become blanks', [REASON_HEADER, bytes('a\u202eb\u2066c\u200dd')], 'a b c d'],
  ['escapes of terminals lose their begin', [REASON_HEADER, 'a\u001b[31mb'], 'a [31mb'],
  ['bytes that are no UTF-8 are replaced', [REASON_HEADER, 'a\u00ff'], 'a\ufffd'],
  ['a long text is cut', [REASON_HEADER, long], `${long.slice(0, 254)}…`],
  ['a long text of pairs is cut between them', [REASON_HEADER, bytes('a😀'.repeat(200))], `${'a😀'.repeat(127)}…`],
  ['none', ['host', 'x'], undefined],
  ['an empty one', [REASON_HEADER, ''], undefined],
  ['blanks', [REASON_HEADER, '   '], undefined],
  ['characters that cannot be seen', [REASON_HEADER, bytes('\u200b\u2060\ufeff')], undefined],
  ['a letter that shows as a blank', [REASON_HEADER, bytes('\u3164')], undefined],
  ['letters without a form of their own', [REASON_HEADER, bytes('\u115f\u1160\uffa0 \u034f\ufe0f')], undefined],
  ['a letter that shows as a blank, beside one', [REASON_HEADER, bytes('a\u3164b')], 'a b'],
  ['a letter only in what is cut', [REASON_HEADER, `${'.'.repeat(254)}ab`], undefined],
  ['a letter at the end of what is kept', [REASON_HEADER, `${'.'.repeat(253)}abc`], `${'.'.repeat(253)}a…`],
  ['dots and dashes', [REASON_HEADER, '.-_!'], undefined],
  ['two', [REASON_HEADER, 'a', REASON_HEADER.toUpperCase(), 'b'], undefined],
  ['the same twice', [REASON_HEADER, 'a', REASON_HEADER, 'a'], undefined],
  ['an empty one beside one', [REASON_HEADER, '', REASON_HEADER, 'a'], undefined],
  ['a name that is longer', [`${REASON_HEADER}-bin`, 'YQ=='], undefined],
  ['a name with a blank', [`${REASON_HEADER} `, 'a'], undefined],
  ['a name with underscores', [REASON_HEADER.replaceAll('-', '_'), 'a'], undefined],
  ['the name as a value', ['a', REASON_HEADER, 'b', 'c'], undefined],
];

t.test('the reason in headers', async (test) => {
  for (const [name, headers, reason] of CASES) test.equal(reasonIn(headers), reason, name);
});
