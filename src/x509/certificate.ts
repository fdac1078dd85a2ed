import { type Element, expect, isA, oidOf, readDer, Tag, UnreadableDer } from './der.ts';
import { asciiOf, type DistinguishedName, nameOf } from './names.ts';

/** The alternative names of a certificate, in their order, of the kinds that identities are made of. */
export interface AlternativeNames {
  readonly uri: readonly string[];
  readonly dns: readonly string[];
  readonly email: readonly string[];
  readonly ip: readonly string[];
}

/** The names of a certificate. */
export interface CertificateNames {
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  readonly san: AlternativeNames;
  /** Its key usage has `keyCertSign` or `cRLSign`. */
  readonly signs: boolean;
}

/** Largest certificate that is read, in bytes, and most elements, alternative names, and attributes of a name in it. */
const MOST_BYTES = 16_384;
const MOST_ELEMENTS = 8_192;
const MOST_NAMES = 256;
const MOST_ATTRIBUTES = 64;

const KEY_USAGE = '2.5.29.15';
const SUBJECT_ALT_NAME = '2.5.29.17';
/** Tag of a `GeneralName` (RFC 5280, section 4.2.1.6). */
const KINDS: ReadonlyMap<number, keyof AlternativeNames> = new Map([
  [1, 'email'],
  [2, 'dns'],
  [6, 'uri'],
  [7, 'ip'],
]);

/**
 * Reads the names of a certificate from its bytes, never from a text that joins several of them (CVE-2021-44532).
 *
 * @param der of a certificate that OpenSSL has read
 * @throws UnreadableDer, also for an alternative name with a byte that is no visible ASCII, and for two lists of them
 */
export function readNames(der: Uint8Array): CertificateNames {
  if (der.length > MOST_BYTES) throw new UnreadableDer(`it has more than ${MOST_BYTES} bytes`);
  const certificate = expect(readDer(der, MOST_ELEMENTS), Tag.SEQUENCE, 'certificate');
  const fields = expect(certificate.children[0], Tag.SEQUENCE, 'certificate').children;
  // [0] version, serial number, signature, issuer, validity, subject, key, [3] extensions
  const from = fields[0]?.tagClass === 'context' ? 1 : 0;
  const extensions = fields.find(({ tagClass, tag }) => tagClass === 'context' && tag === 3);
  const list = (extensions?.children[0]?.children ?? []).map(extensionOf);
  return {
    issuer: boundedName(fields[from + 2]),
    subject: boundedName(fields[from + 4]),
    san: alternativeNames(only(list, SUBJECT_ALT_NAME)),
    signs: signsOthers(only(list, KEY_USAGE)),
  };
}

function boundedName(element: Element | undefined): DistinguishedName {
  const name = nameOf(element);
  if (name.flat().length > MOST_ATTRIBUTES) throw new UnreadableDer(`its name has more than ${MOST_ATTRIBUTES} parts`);
  return name;
}

function only(extensions: readonly Extension[], wanted: string): Extension | undefined {
  const [found, ...more] = extensions.filter(({ oid }) => oid === wanted);
  if (more.length > 0) throw new UnreadableDer(`it has the extension ${wanted} twice`);
  return found;
}

/** Bits 5 and 6 of `KeyUsage` (RFC 5280, section 4.2.1.3). */
const SIGNS = 0x06;

function signsOthers(usage: Extension | undefined): boolean {
  if (!usage) return false;
  const { content } = expect(readDer(usage.value), Tag.BIT_STRING, 'key usage');
  return ((content[1] ?? 0) & SIGNS) !== 0;
}

/** An extension: its OID, whether it is critical, its value. */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** Reads an `Extension` (RFC 5280, section 4.1). */
export function extensionOf({ children }: Element): Extension {
  const value = expect(children.at(-1), Tag.OCTET_STRING, 'extension');
  const oid = oidOf(expect(children[0], Tag.OID, 'extension'));
  // A value that is DER itself is read as an element in the octets.
  const critical = isA(children[1], Tag.BOOLEAN) && children[1].whole.at(-1) !== 0;
  return { oid, critical, value: value.content };
}

function alternativeNames(list: Extension | undefined): AlternativeNames {
  const names = { uri: [] as string[], dns: [] as string[], email: [] as string[], ip: [] as string[] };
  if (!list) return names;
  const all = expect(readDer(list.value, MOST_ELEMENTS), Tag.SEQUENCE, 'list of names').children;
  if (all.length > MOST_NAMES) throw new UnreadableDer(`it has more than ${MOST_NAMES} alternative names`);
  for (const { tagClass, tag, content } of all) {
    const kind = tagClass === 'context' ? KINDS.get(tag) : undefined;
    if (!kind) continue;
    const text = kind === 'ip' ? addressOf(content) : asciiOf(content);
    if (text === undefined) throw new UnreadableDer('an alternative name of it is not visible ASCII, or no address');
    names[kind].push(text);
  }
  return names;
}

/** IPv6 without abbreviation: eight groups in hexadecimal digits. */
function addressOf(content: Buffer): string | undefined {
  if (content.length === 4) return [...content].join('.');
  if (content.length !== 16) return undefined;
  return Array.from({ length: 8 }, (_, at) => content.readUInt16BE(2 * at).toString(16)).join(':');
}
