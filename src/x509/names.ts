import { type Element, isA, oidOf, Tag, UnreadableDer } from './der.ts';

/** One attribute of a name: `CN`, or the OID of one without a usual name; `undefined` = a value that is no plain text. */
export interface Attribute {
  readonly type: string;
  readonly value: string | undefined;
}

/** A distinguished name: its parts in the order of the certificate; a part of several values has several attributes. */
export type DistinguishedName = readonly (readonly Attribute[])[];

/** The names of attribute types that RFC 4514 (section 3) lists, and those of common use. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'STREET'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
]);

/** Reads a `Name` (RFC 5280, section 4.1.2.4). */
export function nameOf(element: Element | undefined): DistinguishedName {
  if (!isA(element, Tag.SEQUENCE)) throw new UnreadableDer('it has no name');
  return element.children.map((part) => {
    if (!isA(part, Tag.SET)) throw new UnreadableDer('its name is not valid');
    return part.children.map(attributeOf);
  });
}

function attributeOf(element: Element): Attribute {
  const [type, value] = element.children;
  if (!isA(type, Tag.OID) || value === undefined) throw new UnreadableDer('its name is not valid');
  const oid = oidOf(type);
  return { type: TYPES.get(oid) ?? oid, value: textOf(value) };
}

const ASCII: ReadonlySet<number> = new Set([Tag.PRINTABLE_STRING, Tag.IA5_STRING, Tag.NUMERIC_STRING]);
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf16 = new TextDecoder('utf-16be', { fatal: true, ignoreBOM: true });

/** The text of a string; `undefined` = of another kind, or not plain. */
function textOf(element: Element): string | undefined {
  if (element.tagClass !== 'universal') return undefined;
  if (ASCII.has(element.tag)) return asciiOf(element.content);
  try {
    if (element.tag === Tag.UTF8_STRING) return plain(utf8.decode(element.content));
    if (element.tag === Tag.BMP_STRING) return plain(utf16.decode(element.content));
    return undefined;
  } catch {
    return undefined;
  }
}

/** Visible ASCII and blanks; `undefined` = there is another byte. */
export function asciiOf(content: Buffer): string | undefined {
  const text = content.toString('latin1');
  return /^[\x20-\x7e]*$/.test(text) ? text : undefined;
}

/** Control characters, line ends and what shows text in another order could make one name look like another. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

function plain(text: string): string | undefined {
  return HIDDEN.test(text) ? undefined : text;
}

/**
 * The values of each type of attribute, in their order. INVARIANT: a type with a value that is no plain text is left out whole:
 * a value that cannot be read is not taken for absent beside others that can.
 */
export function attributesOf(name: DistinguishedName): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  const unreadable = new Set<string>();
  for (const { type, value } of name.flat()) {
    if (value === undefined) unreadable.add(type);
    else values.set(type, [...(values.get(type) ?? []), value]);
  }
  for (const type of unreadable) values.delete(type);
  return values;
}

/** The name as RFC 4514 writes it, last part first; `undefined` = a value of it is no plain text. */
export function nameText(name: DistinguishedName): string | undefined {
  const parts: string[] = [];
  for (const part of name.toReversed()) {
    const attributes: string[] = [];
    for (const { type, value } of part) {
      if (value === undefined) return undefined;
      attributes.push(`${type}=${escaped(value)}`);
    }
    parts.push(attributes.join('+'));
  }
  return parts.join(',');
}

/** RFC 4514, section 2.4. */
function escaped(value: string): string {
  return value.replace(/["+,;<>\\]/g, '\\$&').replace(/^[ #]| $/g, '\\$&');
}
