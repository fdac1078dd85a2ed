import {
  again,
  type Code,
  choose,
  get,
  giveBack,
  i32,
  i64,
  loop,
  set,
  Type,
  v128,
  when,
  writeModule,
} from './wasm-code.ts';

/** Largest piece that the kernel measures at once, in bytes. */
export const KERNEL_BYTES = 65_536;

/** Measures the nesting of JSON text sixty-four bytes at a time. */
export interface DepthKernel {
  /** Where the text goes. */
  readonly memory: Uint8Array;
  /**
   * Measures the first `length` bytes of `memory`, at most `KERNEL_BYTES`. A state is `depth * 4 + inString * 2 + escaped`. -1:
   * the text is too deep, or not JSON. Which of them, and how deep it is then, only the bytes one by one tell.
   */
  readonly run: (length: number, state: number, maxDepth: number) => number;
}

const PAGES = 2;
const BLOCK = 64;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
/** The only bit in which `[` and `{`, `]` and `}` differ. */
const SHAPE_BIT = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;
/** Brackets and the backslash are not below; digits, and what stands between numbers, are. */
const FIRST_SHAPE = 0x5b;

/** Parameters and locals. The bits of a mask are the bytes of a block, the lowest bit its first byte. */
const length = 0;
const state = 1;
const maxDepth = 2;
const at = 3;
const depth = 4;
const quotes = 5;
const slashes = 6;
const run = 7;
const strings = 8;
const inString = 9;
const escaped = 10;
const opens = 11;
const closes = 12;
const shapes = 13;
const vectors = [14, 15, 16, 17];
const LOCALS = [
  ...new Array<number>(2).fill(Type.i32),
  ...new Array<number>(9).fill(Type.i64),
  ...new Array<number>(4).fill(Type.v128),
];

const ODD_BITS = i64.of(-0x5555_5555_5555_5556n);
const NOTHING = i64.of(0n);

type Test = (bytes: Code) => Code;
const isByte =
  (byte: number): Test =>
  (bytes) =>
    v128.equal(bytes, v128.of(byte));
const isShape =
  (shape: number): Test =>
  (bytes) =>
    v128.equal(v128.or(bytes, v128.of(SHAPE_BIT)), v128.of(shape));

/** The four vectors as one, each taken as `each` says. */
const joined = (each: Test, join: (one: Code, other: Code) => Code): Code =>
  vectors.map((one) => each(get(one))).reduce((all, one) => join(all, one));

const maskOf = (test: Test): Code =>
  vectors
    .map((one, index) => i64.shl(i64.wide(v128.bits(test(get(one)))), i64.of(BigInt(16 * index))))
    .reduce((all, part) => i64.or(all, part));

const countOf = (mask: number): Code => i32.low(i64.bits(get(mask)));

const without = (mask: Code, other: Code): Code => i64.and(mask, i64.xor(other, i64.of(-1n)));

const loadBlock = vectors.map((one, index) => set(one, v128.load(16 * index, get(at))));

/** Most blocks of vectors have neither strings nor brackets, and change nothing. */
const hasShapes = v128.any(
  v128.or(
    v128.atLeast(
      joined((bytes) => bytes, v128.largest),
      v128.of(FIRST_SHAPE),
    ),
    joined(isByte(QUOTE), v128.or),
  ),
);

/** The last byte of the block that is text, from 0. */
const lastByte = ((left: Code): Code =>
  i32.sub(choose(left, i32.of(BLOCK), i32.isBelow(left, i32.of(BLOCK))), i32.of(1)))(i32.sub(get(length), get(at)));

/**
 * Drops the quotes behind runs of backslashes of odd length. The subtraction carries through each run, and its result differs
 * from the odd bits behind those runs (Langdale and Lemire, Parsing Gigabytes of JSON per Second; simdjson).
 */
const dropEscaped: readonly Code[] = [
  set(run, without(get(slashes), get(escaped))),
  set(run, i64.xor(i64.sub(i64.or(i64.shl(get(run), i64.of(1n)), ODD_BITS), get(run)), ODD_BITS)),
  set(quotes, without(get(quotes), i64.xor(get(run), i64.or(get(slashes), get(escaped))))),
  set(escaped, i64.and(i64.shr(i64.and(get(run), get(slashes)), i64.wide(lastByte)), i64.of(1n))),
];

/** Each bit becomes the parity of itself and all below: set from an opening quote to the byte before the closing one. */
const markStrings: readonly Code[] = [
  set(strings, get(quotes)),
  ...[1n, 2n, 4n, 8n, 16n, 32n].map((by) => set(strings, i64.xor(get(strings), i64.shl(get(strings), i64.of(by))))),
  set(strings, i64.xor(get(strings), get(inString))),
  set(inString, i64.shrSigned(get(strings), i64.of(63n))),
];

const shapesOf = (shape: number): Code => without(maskOf(isShape(shape)), get(strings));
const giveUp = [giveBack(i32.of(-1))];

/** Too deep at the end, if nothing of the block were closed; or perhaps closed more often than opened. */
const isNear = i32.or(
  i32.isAbove(i32.add(get(depth), countOf(opens)), get(maxDepth)),
  i32.isBelow(get(depth), countOf(closes)),
);

const lowestBit = i64.and(get(shapes), i64.sub(NOTHING, get(shapes)));

/** Bracket by bracket. As for a parser that has met its first fault, what was never opened closes nothing. */
const stepByStep: readonly Code[] = [
  set(shapes, i64.or(get(opens), get(closes))),
  loop(
    when(
      i64.isZero(i64.and(lowestBit, get(opens))),
      [set(depth, i32.sub(get(depth), i32.isAbove(get(depth), i32.of(0))))],
      [set(depth, i32.add(get(depth), i32.of(1))), when(i32.isAbove(get(depth), get(maxDepth)), giveUp)],
    ),
    set(shapes, i64.and(get(shapes), i64.sub(get(shapes), i64.of(1n)))),
    when(i64.isZero(get(shapes)), [], [again(1)]),
  ),
];

const takeShapes: readonly Code[] = [
  set(slashes, maskOf(isByte(BACKSLASH))),
  set(quotes, maskOf(isByte(QUOTE))),
  when(i64.isZero(get(slashes)), [set(quotes, without(get(quotes), get(escaped))), set(escaped, NOTHING)], dropEscaped),
  ...markStrings,
  // Outside of a string a backslash escapes nothing, and the text is not JSON.
  when(i64.isZero(without(get(slashes), get(strings))), [], giveUp),
  set(opens, shapesOf(OPEN)),
  set(closes, shapesOf(CLOSE)),
  when(isNear, stepByStep, [set(depth, i32.sub(i32.add(get(depth), countOf(opens)), countOf(closes)))]),
];

const newState = i32.or(
  i32.or(i32.shl(get(depth), i32.of(2)), i32.and(i32.low(get(inString)), i32.of(2))),
  i32.low(get(escaped)),
);

const body: readonly Code[] = [
  set(depth, i32.shr(get(state), i32.of(2))),
  set(inString, i64.sub(NOTHING, i64.wide(i32.and(i32.shr(get(state), i32.of(1)), i32.of(1))))),
  set(escaped, i64.wide(i32.and(get(state), i32.of(1)))),
  // The last block is filled up with what changes nothing.
  ...vectors.map((_, index) => v128.store(16 * index, get(length), v128.of(SPACE))),
  loop(
    when(i32.isBelow(get(at), get(length)), [
      ...loadBlock,
      when(hasShapes, takeShapes, [set(escaped, NOTHING)]),
      set(at, i32.add(get(at), i32.of(BLOCK))),
      again(1),
    ]),
  ),
  giveBack(newState),
];

/** The part of WebAssembly that opens the kernel; the types of Node do not have it. */
interface WasmRuntime {
  validate(module: Uint8Array): boolean;
  readonly Module: new (module: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => { readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; readonly run: DepthKernel['run'] } };
}

/** A kernel with a memory of its own; `undefined` where the runtime has no WebAssembly, or none with vectors. */
export function openDepthKernel(): DepthKernel | undefined {
  const runtime: WasmRuntime | undefined = Reflect.get(globalThis, 'WebAssembly');
  const module = writeModule({ parameters: 3, locals: LOCALS, body }, PAGES);
  if (!runtime?.validate(module)) return undefined;
  try {
    const { exports } = new runtime.Instance(new runtime.Module(module));
    return { memory: new Uint8Array(exports.memory.buffer), run: exports.run };
  } catch {
    // A process with little address space cannot have its memory.
    return undefined;
  }
}
