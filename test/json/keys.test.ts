import fc from 'fast-check';
import t from 'tap';
import { KnownKeys } from '../../src/json/keys.ts';

t.test('a key that was seen before is the same text, and no other key is taken for it', async (t) => {
  const keys = new KnownKeys();
  await fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 40 }), { maxLength: 200 }), (texts) => {
      const bytes = Buffer.from(texts.join(''), 'latin1');
      let at = 0;
      return texts.every((text) => {
        const start = at;
        at += text.length;
        return keys.of(bytes, start, at) === text && keys.of(bytes, start, at) === text;
      });
    }),
  );
  t.pass('all were');
});
