import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { bounded, boundedLong, boundedNames, toLine } from '../../src/audit/event.ts';
import { eventOf } from './fixture.ts';

t.test('texts of clients are cut, whole characters only', async (t) => {
  const cases: readonly (readonly [name: string, text: string, cut: string])[] = [
    ['nothing is cut of what fits', 'a'.repeat(255), 'a'.repeat(255)],
    ['one more is cut and marked', 'a'.repeat(256), `${'a'.repeat(254)}…`],
    ['half a character is none', `${'a'.repeat(253)}😀😀`, `${'a'.repeat(253)}…`],
  ];
  for (const [name, text, cut] of cases) t.equal(bounded(text), cut, name);
  t.equal(boundedLong('e'.repeat(600)).length, 512, 'an error may be longer');
});

t.test('collections are named once each, and only so many', async (t) => {
  t.strictSame(boundedNames([]), {});
  t.strictSame(boundedNames(['a', 'b', 'a']), { collections: ['a', 'b'] });
  const many = Array.from({ length: 40 }, (_, index) => `c${index}`);
  t.strictSame(boundedNames(many), { collections: many.slice(0, 32), collections_left_out: 8 });
});

t.test('one event is one line, whatever its values hold', async (t) => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what no line may hold
  const odd = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const line = toLine(eventOf(1, { subject: text, collections: [text], error: text }));
      const read = JSON.parse(line) as { subject: string };
      return !odd.test(line) && read.subject === text;
    }),
    { examples: [['\n\r\u2028\u2029\u0085\u009b31m\u007f\u0000"\\']] },
  );
  t.pass();
});

t.test('the native names come first, in their order, then ours; what is absent is left out', async (t) => {
  const line = toLine(eventOf(1, { subject: undefined, status: undefined, upstream_status: null }));
  t.strictSame(Object.keys(JSON.parse(line)), [
    ...['timestamp', 'method', 'api', 'auth_type', 'tracing_id', 'result'],
    ...['id', 'operation', 'upstream_status', 'duration_ms', 'bytes_in', 'bytes_out'],
  ]);
});

t.test('the documentation explains every member', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/reference/audit.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  const explained = new Set(rows.flatMap((row) => row.split('|')[1]?.match(/`\w+`/g) ?? []));
  const whole = eventOf(1, {
    subject: 's',
    remote: 'r',
    collection: 'c',
    error: 'e',
    key: 'k',
    collections: ['c'],
    collections_left_out: 1,
    code: 'collection_not_listed',
    rule: 'r',
    would_deny: { rule: 'r', code: 'collection_not_listed', error: 'e' },
    status: 200,
  });
  for (const member of [...Object.keys(whole), 'prev', 'hash', 'torn']) t.ok(explained.has(`\`${member}\``), member);
});
