import { markdownFiles } from '../../documents/markdown.ts';
import { type Block, blocksOf, readDocument } from './blocks.ts';
import { problemsOf } from './lint.ts';
import { noPlace, runBlocks } from './place.ts';
import { EXAMPLES, SCENES } from './scenes.ts';

/*
 * Every command in the documents, run as it is written:
 *
 *   npm run docs:commands                    all documents
 *   npm run docs:commands -- keys tutorial   those whose path holds one of the words
 *   npm run docs:commands -- --output        shows what the blocks print
 *
 * blocks.ts says how a block is marked that cannot be run; such a block is checked as far as that goes without running it.
 */

const words = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const shown = process.argv.includes('--output');
const { scripts }: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(readDocument('package.json'));
const missing = noPlace();
const counts = { passed: 0, failed: 0, skipped: 0 };

function tell(path: string, block: Block, problems: readonly string[], what: string): void {
  counts[problems.length === 0 ? 'passed' : 'failed'] += 1;
  console.log(`${problems.length === 0 ? 'passed' : 'FAILED'}  ${path}:${block.line}  ${what}`);
  for (const problem of problems) console.log(`          ${problem}`);
}

for (const path of markdownFiles()) {
  if (words.length > 0 && !words.some((word) => path.includes(word))) continue;
  const examples = EXAMPLES.includes(path);
  const blocks = blocksOf(readDocument(path)).map((block) =>
    examples ? { ...block, mark: 'lint' as const, why: 'examples' } : block,
  );
  const checked = blocks.map((block) => ({ block, problems: problemsOf(block, Object.keys(scripts)) }));
  for (const { block, problems } of checked) {
    if (block.mark === 'lint' || problems.length > 0) tell(path, block, problems, `checked, not run: ${block.why}`);
  }
  const toRun = checked.filter(({ block, problems }) => block.mark !== 'lint' && problems.length === 0);
  if (toRun.length === 0) continue;
  if (missing) {
    counts.skipped += toRun.length;
    console.log(`skipped ${path}: ${missing}`);
    continue;
  }
  for (const { block, problems, output } of await runBlocks(
    toRun.map(({ block }) => block),
    SCENES[path] ?? {},
  )) {
    tell(path, block, problems, block.mark);
    if (shown || problems.length > 0) console.log(output.replaceAll(/^/gm, '          | '));
  }
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;
