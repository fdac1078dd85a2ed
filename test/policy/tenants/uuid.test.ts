import t from 'tap';
import { uuidOf } from '../../../src/policy/tenants/uuid.ts';

const ONE = '550e8400-e29b-41d4-a716-446655440000';

const cases: readonly (readonly [name: string, text: string, isOne: boolean])[] = [
  ['with hyphens', ONE, true],
  ['in capitals', ONE.toUpperCase(), true],
  ['without hyphens', ONE.replaceAll('-', ''), true],
  ['in braces', `{${ONE}}`, true],
  ['as a URN', `urn:uuid:${ONE}`, true],
  ['as a URN whose digits are capitals', `urn:uuid:${ONE.toUpperCase()}`, true],
  ['as a URN in capitals', `URN:UUID:${ONE}`, false],
  ['in braces without hyphens', `{${ONE.replaceAll('-', '')}}`, false],
  ['as a URN without hyphens', `urn:uuid:${ONE.replaceAll('-', '')}`, false],
  ['as a URN in braces', `{urn:uuid:${ONE}}`, false],
  ['in one brace', `{${ONE}`, false],
  ['with a line behind it', `${ONE}\n`, false],
  ['with hyphens elsewhere', '550e-8400e29b-41d4-a716-446655440000', false],
  ['nothing', '', false],
];

t.test('a UUID has one form, whichever of the forms upstream takes it came in', async (t) => {
  for (const [name, text, isOne] of cases) t.equal(uuidOf(text), isOne ? ONE : undefined, name);
});
