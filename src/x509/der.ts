import { createRequire } from 'node:module';

/** An element of ASN.1 in DER, as asn1js has read it. */
export interface Element {
  /** `universal`, or the number of a context tag in `tag`. */
  readonly tagClass: 'universal' | 'context' | 'other';
  readonly tag: number;
  /** The elements in it; empty for a primitive one. */
  readonly children: readonly Element[];
  /** Its bytes without tag and length. */
  readonly content: Buffer;
  /** All bytes of the element. */
  readonly whole: Buffer;
}

/** Universal tags (X.680, section 8.6). */
export const Tag = {
  BOOLEAN: 1,
  INTEGER: 2,
  BIT_STRING: 3,
  OCTET_STRING: 4,
  OID: 6,
  UTF8_STRING: 12,
  SEQUENCE: 16,
  SET: 17,
  NUMERIC_STRING: 18,
  PRINTABLE_STRING: 19,
  IA5_STRING: 22,
  UTC_TIME: 23,
  GENERALIZED_TIME: 24,
  BMP_STRING: 30,
} as const;

type Asn1 = typeof import('asn1js');

/** As asn1js has it; its types leave the blocks of values open. */
interface Block {
  readonly idBlock: { readonly tagClass: number; readonly tagNumber: number; readonly blockLength: number };
  readonly lenBlock: { readonly blockLength: number; readonly length: number; readonly isIndefiniteForm: boolean };
  /** `undefined` = it has not read the element, and says so nowhere else. */
  readonly valueBlock: { readonly value?: unknown } | undefined;
  readonly valueBeforeDecodeView: Uint8Array;
}

let loaded: Asn1 | undefined;

/** Loaded with the first certificate or list: gateways without client certificates do without. */
function asn1(): Asn1 {
  loaded ??= createRequire(import.meta.url)('asn1js') as Asn1;
  return loaded;
}

/** Bytes that are not what they should be. The text names the part, and none of its content. */
export class UnreadableDer extends Error {
  override readonly name = 'UnreadableDer';
}

/**
 * The one element that the bytes are. Throws `UnreadableDer`, also for bytes after its end.
 *
 * @param most elements in it. Default: as many as the bytes can hold
 */
export function readDer(bytes: Uint8Array, most = bytes.length): Element {
  const block = blockOf(bytes, most);
  if (!block) throw new UnreadableDer('it is not DER');
  return elementOf(block);
}

function blockOf(bytes: Uint8Array, most: number): Block | undefined {
  const { fromBER } = asn1();
  try {
    // Each element has two bytes at least, so that the default is no limit beside the size of the bytes.
    const { offset, result } = fromBER(bytes, { maxNodes: most, maxContentLength: bytes.length });
    return offset === bytes.length ? (result as unknown as Block) : undefined;
  } catch {
    // Some values it reads at once, and throws for: times, for example.
    return undefined;
  }
}

const CLASSES = new Map([
  [1, 'universal'],
  [3, 'context'],
] as const);

function elementOf(block: Block): Element {
  const { idBlock, lenBlock, valueBlock, valueBeforeDecodeView } = block;
  if (!valueBlock) throw new UnreadableDer('it is not DER');
  const { value } = valueBlock;
  const whole = Buffer.from(
    valueBeforeDecodeView.buffer,
    valueBeforeDecodeView.byteOffset,
    valueBeforeDecodeView.length,
  );
  const head = idBlock.blockLength + lenBlock.blockLength;
  // It forgives a length that does not fit.
  if (lenBlock.isIndefiniteForm || head + lenBlock.length !== whole.length) throw new UnreadableDer('it is not DER');
  return {
    tagClass: CLASSES.get(idBlock.tagClass as 1 | 3) ?? 'other',
    tag: idBlock.tagNumber,
    get children() {
      return Array.isArray(value) ? value.map((child: Block) => elementOf(child)) : [];
    },
    content: whole.subarray(head),
    whole,
  };
}

/** Does the element have this universal tag? */
export function isA(element: Element | undefined, tag: number): element is Element {
  return element?.tagClass === 'universal' && element.tag === tag;
}

/** The element, if it has this universal tag; throws `UnreadableDer` otherwise. @param what it should be, for the text */
export function expect(element: Element | undefined, tag: number, what: string): Element {
  if (!isA(element, tag)) throw new UnreadableDer(`it has no ${what}`);
  return element;
}

/** The upper 121 bits of the largest number in an object identifier: a UUID has 128 (X.667). A longer one would take quadratic time. */
const MOST_ARC = 2n ** 121n - 1n;

/** The dotted form of an object identifier (X.690, section 8.19). */
export function oidOf({ content }: Element): string {
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const byte of content) {
    if (arc > MOST_ARC) throw new UnreadableDer('it has an object identifier with a number of more than 128 bits');
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    if (byte & 0x80) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const [first = 0n, ...rest] = arcs;
  const root = first < 80n ? first / 40n : 2n;
  return [root, first - root * 40n, ...rest].join('.');
}

/** Milliseconds since 1970 (RFC 5280, section 4.1.2.5: UTC, with seconds). */
export function timeOf(element: Element | undefined, what: string): number {
  const text = element?.content.toString('latin1') ?? '';
  const isShort = isA(element, Tag.UTC_TIME);
  if (!isShort && !isA(element, Tag.GENERALIZED_TIME)) throw new UnreadableDer(`it has no ${what}`);
  const [, year = '', ...rest] = /^(\d\d|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  if (year.length !== (isShort ? 2 : 4)) throw new UnreadableDer(`its ${what} is not valid`);
  const full = isShort ? `${Number(year) < 50 ? 20 : 19}${year}` : year;
  const [month, day, hour, minute, second] = rest;
  const time = Date.parse(`${full}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(time)) throw new UnreadableDer(`its ${what} is not valid`);
  return time;
}
