import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { readTexts } from './support/import-scan.ts';

/*
 * Comments name their subject: none begins with What, Who, How or Whoever. Neither they nor texts of the source and of the
 * examples speak of somebody unnamed.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Folders of examples that are shipped. */
const EXAMPLES: readonly string[] = ['config', 'docker'];

const COMMENT_LINE = /^\s*(?:\/\*\*?|\/\/|\*(?!\/))\s*(.*)$/;
const TEST_NAME = /\btest\(\s*['`]/;
const VAGUE_BEGIN = /^(?:What|Who|How|Whoever)\b/i;
const UNNAMED = /\b(?:whoever|some(?:body|one)|nobody|any(?:body|one)|every(?:body|one))\b/i;

function vagueLines(text: string): string[] {
  return text.split('\n').filter((line) => {
    const comment = COMMENT_LINE.exec(line)?.[1];
    return UNNAMED.test(line) || (comment !== undefined && VAGUE_BEGIN.test(comment));
  });
}

t.test('the rule finds each kind of vague text and no other line', async (t) => {
  const vague = [
    '/** What it is. */',
    ' * How deep.',
    '// Nobody waits.',
    '/** Told to whoever asks. */',
    "'no one: anyone'",
  ];
  const plain = ['/** The depth. */', ' * This is what upstream does.', "const text = 'What is it';", '*/'];
  t.strictSame(vagueLines([...vague, ...plain].join('\n')), vague);
});

t.test('comments and texts of the source name their subject', async (t) => {
  const sources = Object.entries(readTexts(`${ROOT}src`));
  t.ok(sources.length > 100, `${sources.length} files are read`);
  t.strictSame(
    sources.flatMap(([path, text]) => vagueLines(text).map((line) => `${path}: ${line.trim()}`)),
    [],
  );
});

t.test('comments and names of tests name their subject', async (t) => {
  // The user `nobody` of the system is one.
  const named = /`nobody`|\bas nobody\b/g;
  const found = Object.entries(readTexts(`${ROOT}test`))
    .filter(([path]) => path !== 'plain-words.test.ts' && !path.startsWith('documents/'))
    .flatMap(([path, text]) =>
      text
        .split('\n')
        .filter((line) => COMMENT_LINE.test(line) || TEST_NAME.test(line))
        .filter((line) => UNNAMED.test(line.replace(named, '')))
        .map((line) => `${path}: ${line.trim()}`),
    );
  t.strictSame(found, []);
});

t.test('shipped examples name their subject', async (t) => {
  const found = EXAMPLES.flatMap((folder) =>
    readdirSync(`${ROOT}${folder}`, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .flatMap(({ name }) =>
        readFileSync(`${ROOT}${folder}/${name}`, 'utf8')
          .split('\n')
          .filter((line) => UNNAMED.test(line))
          .map((line) => `${folder}/${name}: ${line.trim()}`),
      ),
  );
  t.strictSame(found, []);
});
