import t from 'tap';
import { isDotName } from '../../../src/policy/names/dot-names.ts';

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

t.test('the time to tell grows with the length of a name, and not with its square', async (t) => {
  // With a square, a minute and more: the test would not end in its time.
  const dots = '.'.repeat(1 << 20);
  for (const name of [`${dots}a`, ` ${dots} a`, `${'. '.repeat(1 << 19)}a`, `${' '.repeat(1 << 20)}.a`]) {
    t.equal(isDotName(name), false);
  }
  t.equal(isDotName(dots), true);
});
