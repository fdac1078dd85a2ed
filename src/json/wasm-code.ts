/** Instructions of WebAssembly, as bytes. An expression leaves one value. */
export type Code = readonly number[];

/** Value types. */
export const Type = { i32: 0x7f, i64: 0x7e, v128: 0x7b } as const;

/** A number in as few bytes as it takes, signed (LEB128). */
function signed(value: bigint): Code {
  const byte = Number(value & 0x7fn);
  return value >= -64n && value < 64n ? [byte] : [byte | 0x80, ...signed(value >> 7n)];
}

function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** An instruction whose operands are expressions. */
const plain =
  (...opcode: readonly number[]) =>
  (...operands: readonly Code[]): Code => [...operands.flat(), ...opcode];

const VECTOR = 0xfd;
const NO_RESULT = 0x40;

/** Locals, parameters first. */
export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];

/** Control. `loop` runs its body again on `again(0)`; within one `when` more it is `again(1)`. */
export const loop = (...body: readonly Code[]): Code => [0x03, NO_RESULT, ...body.flat(), 0x0b];
export const again = (depth: number): Code => [0x0c, depth];
export const when = (condition: Code, then: readonly Code[], otherwise: readonly Code[] = []): Code => [
  ...condition,
  0x04,
  NO_RESULT,
  ...then.flat(),
  0x05,
  ...otherwise.flat(),
  0x0b,
];
export const giveBack = (value: Code): Code => [...value, 0x0f];
/** `first` where the condition holds, else `second`. */
export const choose = (first: Code, second: Code, condition: Code): Code => plain(0x1b)(first, second, condition);

/** 32 bits. */
export const i32 = {
  of: (value: number): Code => [0x41, ...signed(BigInt(value))],
  isBelow: plain(0x49),
  isAbove: plain(0x4b),
  add: plain(0x6a),
  sub: plain(0x6b),
  and: plain(0x71),
  or: plain(0x72),
  shl: plain(0x74),
  shr: plain(0x76),
  low: plain(0xa7),
} as const;

/** 64 bits. */
export const i64 = {
  of: (value: bigint): Code => [0x42, ...signed(value)],
  wide: plain(0xad),
  isZero: plain(0x50),
  bits: plain(0x7b),
  sub: plain(0x7d),
  and: plain(0x83),
  or: plain(0x84),
  xor: plain(0x85),
  shl: plain(0x86),
  /** Fills with copies of the highest bit. */
  shrSigned: plain(0x87),
  shr: plain(0x88),
} as const;

/** Sixteen bytes at a time. */
export const v128 = {
  load: (offset: number, address: Code): Code => [...address, VECTOR, 0x00, 0, ...unsigned(offset)],
  store: (offset: number, address: Code, value: Code): Code => [...address, ...value, VECTOR, 0x0b, 0, offset],
  /** Sixteen times the same byte. */
  of: (byte: number): Code => [VECTOR, 0x0c, ...new Array<number>(16).fill(byte)],
  equal: plain(VECTOR, 0x23),
  atLeast: plain(VECTOR, 0x2c),
  or: plain(VECTOR, 0x50),
  any: plain(VECTOR, 0x53),
  /** The highest bit of each byte. */
  bits: plain(VECTOR, 0x64),
  largest: plain(VECTOR, 0x79),
} as const;

const section = (id: number, ...content: readonly Code[]): Code => {
  const bytes = content.flat();
  return [id, ...unsigned(bytes.length), ...bytes];
};

const name = (text: string): Code => [text.length, ...Buffer.from(text, 'latin1')];

/** One function of a module. */
export interface WasmFunction {
  /** Numbers of 32 bits; so is its result. */
  readonly parameters: number;
  /** Types of the locals behind the parameters. */
  readonly locals: readonly number[];
  readonly body: readonly Code[];
}

/**
 * A WebAssembly module of one function, exported as `run`, and a memory of so many pages of 64 KiB, exported as `memory`.
 * https://webassembly.github.io/spec/core/binary/modules.html
 */
export function writeModule({ parameters, locals, body }: WasmFunction, pages: number): Uint8Array<ArrayBuffer> {
  const declared = locals.map((type) => [1, type]);
  const code = [...unsigned(locals.length), ...declared.flat(), ...body.flat(), 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, parameters], new Array<number>(parameters).fill(Type.i32), [1, Type.i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 1, pages, pages]),
    ...section(7, [2], name('memory'), [2, 0], name('run'), [0, 0]),
    ...section(10, [1], unsigned(code.length), code),
  ]);
}
