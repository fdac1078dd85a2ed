import t from 'tap';
import { guideAsRun, guideText } from '../support/explaining-document.ts';

/** The outputs in the guide are those of its commands. */
t.test('every output in docs/guides/explaining.md is real', async (t) => {
  const guide = guideText();
  const before = process.cwd();
  const made = await guideAsRun(guide);
  process.chdir(before);
  t.ok((guide.match(/```console/g) ?? []).length >= 9, 'there are outputs');
  t.equal(guide, made, 'as test/support/explaining-document.ts writes it');
});
