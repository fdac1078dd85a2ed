import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { collectionName, type Draw } from './arbitraries.ts';

/** A random message of a schema, written field by field. */
export interface WrittenMessage {
  readonly bytes: Buffer;
  /** A singular lookup was given several names, which the gateway refuses for being read in two ways. */
  readonly disagrees: boolean;
}

/** How a message is made: what of it is still to be decided, and what has come up. */
interface Making {
  readonly draw: Draw;
  readonly mayDisagree: boolean;
  disagrees: boolean;
}

const DEPTH = 5;
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const START_GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;

/**
 * A request message as any encoder might write it, and as none would: fields in random order, singular messages in
 * parts that have to be merged, scalars given again, packed or not, numbers and lengths longer than needed, unknown
 * fields and groups.
 *
 * @param target the main name, written last of its field; `undefined` = none, or only as an unknown field would be
 */
export function writeMessage(draw: Draw, schema: DescMessage, target: string | undefined): WrittenMessage {
  const making: Making = { draw, mayDisagree: draw.oneIn(6), disagrees: false };
  const bytes = messageOf(making, schema, DEPTH, target);
  return { bytes, disagrees: making.disagrees };
}

function messageOf(making: Making, schema: DescMessage, depth: number, target?: string): Buffer {
  const { draw } = making;
  const usual = schema.fields.filter((field) => !isMainName(field, depth) && !isLookup(field));
  const parts: Buffer[] = draw.some(4, () =>
    usual.length > 0 ? fieldOf(making, draw.of(usual), depth) : unknown(draw),
  );
  for (const field of schema.fields) {
    if (isLookup(field) && draw.oneIn(2)) parts.push(...lookupParts(making, field));
    if (isCarrier(field) && depth > 0 && draw.oneIn(2)) parts.push(fieldOf(making, field, depth));
  }
  if (draw.oneIn(4)) parts.push(unknown(draw));
  const mixed = draw.shuffled(parts);
  const main = schema.fields.find((field) => isMainName(field, depth));
  if (main && target !== undefined) {
    const at = draw.below(mixed.length + 1);
    mixed.splice(at, 0, text(draw, main.number, target));
    if (draw.oneIn(6)) mixed.splice(draw.below(at + 1), 0, text(draw, main.number, collectionName(draw)));
  }
  return Buffer.concat(mixed);
}

function isMainName(field: DescField, depth: number): boolean {
  return depth === DEPTH && field.name === 'collection_name';
}

function isLookup(field: DescField): boolean {
  return field.message?.typeName === 'qdrant.LookupLocation' || field.message?.typeName === 'qdrant.WithLookup';
}

/** Leads to names further inside. */
function isCarrier(field: DescField): boolean {
  return /^(?:prefetch|(?:search|recommend|discover|query)_points)$/.test(field.name) && field.fieldKind === 'list';
}

/** One lookup in one or several parts, of which the last with a name names it; none = the empty name. */
function lookupParts(making: Making, field: DescField): Buffer[] {
  const { draw } = making;
  const name = collectionName(draw);
  const named = new Set<string>();
  const parts = [undefined, ...draw.some(2, () => undefined)].map(() => {
    const pieces: Buffer[] = [];
    for (const chosen of draw.oneIn(5) ? [] : [name, ...draw.some(1, () => name)]) {
      const given = making.mayDisagree && draw.oneIn(2) ? collectionName(draw) : chosen;
      named.add(given);
      pieces.push(text(draw, 1, given));
    }
    if (draw.oneIn(3)) pieces.push(unknown(draw));
    if (field.name === 'lookup_from' && draw.oneIn(3)) pieces.push(text(draw, 2, 'secret'));
    return delimited(draw, field.number, Buffer.concat(draw.oneIn(2) ? pieces.reverse() : pieces));
  });
  if (named.size > 1) making.disagrees = true;
  return parts;
}

function fieldOf(making: Making, field: DescField, depth: number): Buffer {
  const { draw } = making;
  switch (field.fieldKind) {
    case 'message':
      return depth === 0 ? unknown(draw) : delimited(draw, field.number, messageOf(making, field.message, depth - 1));
    case 'enum':
      return scalarOf(draw, field.number, ScalarType.INT32);
    case 'scalar':
      return scalarOf(draw, field.number, field.scalar);
    case 'list':
      if (field.listKind === 'message') {
        if (depth === 0) return unknown(draw);
        const items = [undefined, ...draw.some(2, () => undefined)];
        return Buffer.concat(
          items.map(() => delimited(draw, field.number, messageOf(making, field.message, depth - 1))),
        );
      }
      return listOf(draw, field.number, field.listKind === 'enum' ? ScalarType.INT32 : field.scalar);
    case 'map': {
      const key = scalarOf(draw, 1, field.mapKey);
      const value =
        field.mapKind === 'message'
          ? delimited(draw, 2, depth === 0 ? Buffer.alloc(0) : messageOf(making, field.message, depth - 1))
          : scalarOf(draw, 2, field.mapKind === 'enum' ? ScalarType.INT32 : field.scalar);
      return delimited(draw, field.number, Buffer.concat(draw.oneIn(2) ? [value, key] : [key, value]));
    }
    default:
      return field satisfies never;
  }
}

function listOf(draw: Draw, number: number, scalar: ScalarType): Buffer {
  const items = draw.some(4, () => contentOf(draw, scalar));
  const type = typeOf(scalar);
  if (type === BYTES || draw.oneIn(3)) return Buffer.concat(items.flatMap((item) => [tag(draw, number, type), item]));
  return delimited(draw, number, Buffer.concat(items));
}

function scalarOf(draw: Draw, number: number, scalar: ScalarType): Buffer {
  return Buffer.concat([tag(draw, number, typeOf(scalar)), contentOf(draw, scalar)]);
}

function typeOf(scalar: ScalarType): number {
  if (scalar === ScalarType.STRING || scalar === ScalarType.BYTES) return BYTES;
  if ([ScalarType.DOUBLE, ScalarType.FIXED64, ScalarType.SFIXED64].includes(scalar)) return FIXED64;
  if ([ScalarType.FLOAT, ScalarType.FIXED32, ScalarType.SFIXED32].includes(scalar)) return FIXED32;
  return VARINT;
}

const NUMBERS = [0n, 1n, 127n, 300n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n] as const;

function contentOf(draw: Draw, scalar: ScalarType): Buffer {
  switch (typeOf(scalar)) {
    case BYTES: {
      const content = Buffer.from(collectionName(draw));
      return Buffer.concat([varint(draw, BigInt(content.length)), content]);
    }
    case FIXED64:
      return Buffer.from(Uint8Array.from({ length: 8 }, () => draw.below(256)));
    case FIXED32:
      return Buffer.from(Uint8Array.from({ length: 4 }, () => draw.below(256)));
    default:
      return varint(draw, draw.of(NUMBERS));
  }
}

/** A field no schema has, of any wire type; a group may hold more of them. */
function unknown(draw: Draw, depth = 3): Buffer {
  const number = 1000 + draw.below(2 ** 20);
  switch (draw.below(depth > 0 ? 5 : 4)) {
    case 0:
      return text(draw, number, 'secret');
    case 1:
      return Buffer.concat([tag(draw, number, VARINT), varint(draw, draw.of(NUMBERS))]);
    case 2:
      return scalarOf(draw, number, ScalarType.FIXED64);
    case 3:
      return scalarOf(draw, number, ScalarType.FIXED32);
    default: {
      const inside = draw.some(3, () => unknown(draw, depth - 1));
      return Buffer.concat([tag(draw, number, START_GROUP), ...inside, tag(draw, number, END_GROUP)]);
    }
  }
}

function text(draw: Draw, number: number, value: string): Buffer {
  return delimited(draw, number, Buffer.from(value));
}

function delimited(draw: Draw, number: number, content: Buffer): Buffer {
  return Buffer.concat([tag(draw, number, BYTES), varint(draw, BigInt(content.length)), content]);
}

/** At most five bytes: the official client's decoder reads no longer tags, though prost does. */
function tag(draw: Draw, number: number, type: number): Buffer {
  return varint(draw, (BigInt(number) << 3n) | BigInt(type), 5);
}

/** Now and then longer than it has to be, up to the ten bytes every decoder reads. */
function varint(draw: Draw, value: bigint, longest = 10): Buffer {
  const bytes: number[] = [];
  for (let rest = value; bytes.length === 0 || rest > 0n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  if (draw.oneIn(25)) for (let more = draw.below(longest + 1 - bytes.length); more > 0; more -= 1) bytes.push(0x80);
  bytes.push((bytes.pop() ?? 0) & 0x7f);
  return Buffer.from(bytes);
}
