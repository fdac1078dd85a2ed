import t from 'tap';
import * as denials from '../../src/policy/denial.ts';
import { type Denial, notListed, onlyPoints, operationNotAllowed, writeRequired } from '../../src/policy/denial.ts';
import { read, rowsOf } from './markdown.ts';

/** Texts, statuses and codes in docs/guides/refused.md are those of the denials. */
const isDenial = (value: unknown): value is Denial =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'denial';

t.test('each text stands with the status and the code of its denial', async (t) => {
  const named = [notListed('NAME'), onlyPoints('NAME'), writeRequired('NAME'), operationNotAllowed('NAME')];
  const known = [...Object.values(denials).filter(isDenial), ...named].map(
    ({ message, status, code }) => `${message.replace(/^Forbidden: /, '')} | ${status} | ${code}`,
  );
  const rows = rowsOf(read('docs/guides/refused.md').split('\n## ')[1] ?? '');
  const told = rows.map(([text = '', status, code = '']) => [text, status, code].join(' | ').replaceAll('`', ''));
  t.ok(told.length >= 12, `${told.length} rows are found`);
  t.strictSame(
    told.filter((row) => !known.includes(row)),
    [],
  );
});
