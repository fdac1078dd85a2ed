import t from 'tap';
import { blocksOf, commandsOf, looseMarks, readDocument, statusesOf } from '../support/commands/blocks.ts';
import { problemsOf } from '../support/commands/lint.ts';
import { noPlace, runBlocks } from '../support/commands/place.ts';
import { EXAMPLES, SCENES } from '../support/commands/scenes.ts';
import { markdownFiles } from './markdown.ts';

/** Every command in the documents is checked here, and a few are run; `npm run docs:commands` runs them all. */
const { scripts }: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(readDocument('package.json'));
const problems = (script: string) => problemsOf({ line: 1, mark: 'run', why: '', script }, Object.keys(scripts));

t.test('bash reads every block, and what it names exists', async (t) => {
  const found = markdownFiles().flatMap((path) =>
    blocksOf(readDocument(path)).map((block) => ({ path, block, problems: problemsOf(block, Object.keys(scripts)) })),
  );
  t.ok(found.length > 60, `${found.length} blocks are found`);
  t.ok(
    found.filter(({ path, block }) => block.mark !== 'lint' && !EXAMPLES.includes(path)).length > 20,
    'most are run',
  );
  t.strictSame(
    found.flatMap(({ path, block, problems }) => problems.map((problem) => `${path}:${block.line}: ${problem}`)),
    [],
  );
});

t.test('every mark stands before a block, and says why one is not run', async (t) => {
  for (const path of markdownFiles()) {
    t.equal(looseMarks(readDocument(path)), 0, path);
    for (const { mark, why, line } of blocksOf(readDocument(path))) {
      t.equal(why === '', mark !== 'lint', `${path}:${line}`);
    }
  }
});

t.test('every scene is that of a document', async (t) => {
  const known = markdownFiles();
  t.strictSame(
    [...Object.keys(SCENES), ...EXAMPLES].filter((path) => !known.includes(path)),
    [],
  );
});

t.test('a block that is wrong is found without running it', async (t) => {
  t.match(problems('if true'), [/^bash: /]);
  t.strictSame(problems('qdrant-gateway tokens'), ['there is no command `tokens`']);
  t.strictSame(problems('qdrant-gateway token --collections a=r'), ['`token mint` has no option --collections']);
  t.strictSame(problems('qdrant-gateway token inspect < a.txt | less'), []);
  t.strictSame(problems('A=$(qdrant-gateway key make --name b)'), ['there is no command `key make --name b`']);
  t.strictSame(problems('kubectl apply -f docker/nothing.yaml'), ['there is no file docker/nothing.yaml']);
  t.strictSame(problems('npm run nothing'), ['package.json has no script nothing']);
  t.strictSame(problems('npm start -- --http-port 7333'), []);
});

t.test('commands and the statuses they name are told apart', async (t) => {
  const script =
    "# first\ncurl a \\\n  b   # 401\ncurl -d '{\n}' c\nnode <<'EOF'\ncurl d\nEOF\nx | curl e  # no connection\n";
  t.strictSame(commandsOf(script).length, 4);
  t.strictSame(statusesOf(script), [401, undefined, 'none']);
});

t.test('commands are run, and each that does not do what its text says is found', { skip: noPlace() }, async (t) => {
  const text = [
    '```sh\nA=1\nfalse\n```',
    '```sh\ntest "$A" = 1\nfalse   # exit 1\n```',
    '```sh\ncurl -sS localhost:6333   # 200\ncurl -s localhost:6333   # no connection\n```',
    '```sh\nQDRANT__SERVICE__API_KEY=any-key qdrant-gateway token --access r > token.txt\nsudo install token.txt /etc/token\ntest -s /etc/token\n```',
  ];
  const ran = await runBlocks(blocksOf(text.join('\n\n')), {});
  t.strictSame(
    ran.map(({ problems }) => problems),
    [
      ['line 2 ended with 1: false'],
      [],
      ['line 1 ended with 7: curl -sS localhost:6333   # 200', 'curl 1 got 0, not 200'],
      [],
    ],
  );
});
