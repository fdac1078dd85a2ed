import t from 'tap';
import { isDotName } from '../../src/policy/dot-names.ts';

const DOTTED = [
  '.',
  '..',
  '...',
  '. ',
  '.. ',
  ' .',
  '. .',
  '../a',
  'a/..',
  'a/../b',
  '..\\a',
  'a\\.',
  './a',
  '..\0a',
  'a/. /b',
];
const PLAIN = ['', ' ', 'a', 'a.b', '.a', '..a', 'a.', 'a..', 'a/b', 'a\\b', '.hidden', 'v1.2.3', 'a..b', '\0', '/'];

t.test('names that are a way out of a folder, and names that only have dots', async (t) => {
  for (const name of DOTTED) t.equal(isDotName(name), true, JSON.stringify(name));
  for (const name of PLAIN) t.equal(isDotName(name), false, JSON.stringify(name));
});
