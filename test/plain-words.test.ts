import { fileURLToPath } from 'node:url';
import t from 'tap';
import { readTexts } from './support/import-scan.ts';

/* Comments name their subject: none begins with What, Who, How or Whoever, and none speaks of somebody unnamed. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Folders of `src` whose comments are still to be rewritten. INVARIANT: the list only shrinks. */
const TO_DO: readonly string[] = ['upstream'];

const COMMENT_LINE = /^\s*(?:\/\*\*?|\/\/|\*(?!\/))\s*(.*)$/;
const VAGUE = /^(?:What|Who|How|Whoever)\b|\b(?:whoever|somebody|nobody|anybody|everybody)\b/i;

function vagueLines(text: string): string[] {
  return text.split('\n').filter((line) => {
    const comment = COMMENT_LINE.exec(line)?.[1];
    return comment !== undefined && VAGUE.test(comment);
  });
}

t.test('the rule finds each kind of vague comment and no other line', async (t) => {
  const vague = ['/** What it is. */', ' * How deep.', '// Nobody waits.', '/** Told to whoever asks. */'];
  const plain = ['/** The depth. */', ' * This is what upstream does.', "const text = 'What is it';", '*/'];
  t.strictSame(vagueLines([...vague, ...plain].join('\n')), vague);
});

t.test('comments name their subject', async (t) => {
  const byFolder = new Map<string, string[]>();
  for (const [path, text] of Object.entries(readTexts(`${ROOT}src`))) {
    const folder = path.split('/')[0] ?? '';
    const found = vagueLines(text).map((line) => `${path}: ${line.trim()}`);
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), ...found]);
  }
  const done = [...byFolder].filter(([folder]) => !TO_DO.includes(folder));
  t.ok(done.length > 1, 'folders are looked at');
  t.strictSame(
    done.flatMap(([, found]) => found),
    [],
  );
  for (const folder of TO_DO) if (byFolder.get(folder)?.length === 0) t.comment(`${folder}: take it off the list`);
});
