import t from 'tap';
import { KERNEL_BYTES, openDepthKernel } from '../../src/json/depth-kernel.ts';

const MAX = 4;
const BLOCK = 64;

/** Depth 0, outside of strings. */
const START = 0;
const IN_STRING = 2;
const ESCAPED = 3;
const AT_DEPTH = 4;

const kernel = openDepthKernel();

t.test('this runtime has a kernel, so that the fast way is the one that is tested', async (t) => t.ok(kernel));

const cases: readonly [name: string, text: string, before: number, after: number][] = [
  ['nothing changes nothing', '', ESCAPED, ESCAPED],
  ['numbers change nothing', '1,2,'.repeat(40), 3 * AT_DEPTH, 3 * AT_DEPTH],
  ['brackets are counted', '[{"a":[1', START, 3 * AT_DEPTH],
  ['and those that close', '1]}', 3 * AT_DEPTH, AT_DEPTH],
  ['what was never opened closes nothing', ']]][', AT_DEPTH, AT_DEPTH],
  ['a string goes on', 'abc', IN_STRING, IN_STRING],
  ['and ends', 'abc"[', IN_STRING, AT_DEPTH],
  ['an escaped quote does not end it', '"[', ESCAPED, IN_STRING],
  ['an escaped letter is none behind it', 'n"[', ESCAPED, AT_DEPTH],
  ['a block of plain text ends an escape', '1'.repeat(BLOCK), ESCAPED, IN_STRING],
  ['a backslash at the end escapes what follows', '"a\\', START, ESCAPED],
  ['also at the end of a block', `${' '.repeat(BLOCK - 2)}"\\`, START, ESCAPED],
  ['and two of them do not', `${' '.repeat(BLOCK - 2)}"\\\\`, START, IN_STRING],
  ['a run of them crosses blocks', `${' '.repeat(BLOCK - 4)}"${'\\'.repeat(7)}"[`, START, IN_STRING],
  ['with an even number the string ends', `${' '.repeat(BLOCK - 4)}"${'\\'.repeat(8)}"[`, START, AT_DEPTH],
  ['as deep as allowed', '[[[[1]]]]', START, START],
  ['many side by side in a block', '[[[1]],[[1]],[[1]],[[1]],[[1]],[[1]]]', START, START],
  ['one deeper is for a closer look', '[[[[[1]]]]]', START, -1],
  ['so is a backslash outside of a string', '[1,\\2]', START, -1],
  ['but not in one', '"\\u005b"', START, START],
];

for (const [name, text, before, after] of cases) {
  t.test(name, async (t) => {
    if (!kernel) return;
    // What was in its memory before does not count.
    kernel.memory.fill(0x5b);
    const size = Buffer.from(text, 'latin1').copy(kernel.memory);
    t.equal(kernel.run(size, before, MAX), after);
  });
}

t.test('the largest piece is measured to its last byte', async (t) => {
  if (!kernel) return;
  kernel.memory.fill(0x31, 0, KERNEL_BYTES);
  kernel.memory[KERNEL_BYTES - 1] = 0x5b;
  t.equal(kernel.run(KERNEL_BYTES, START, MAX), AT_DEPTH);
});

t.test('without WebAssembly there is none, and the text is measured byte by byte', async (t) => {
  const runtime: unknown = Reflect.get(globalThis, 'WebAssembly');
  t.teardown(() => Reflect.set(globalThis, 'WebAssembly', runtime));
  Reflect.set(globalThis, 'WebAssembly', undefined);
  t.equal(openDepthKernel(), undefined);
});
