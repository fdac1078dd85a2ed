import { type KeyObject, verify } from 'node:crypto';
import { extensionOf } from './certificate.ts';
import { type Element, expect, isA, oidOf, readDer, Tag, timeOf, UnreadableDer } from './der.ts';
import { nameOf, nameText } from './names.ts';
import { pemBlocks, wholePemBlocks } from './pem.ts';
import { serialText } from './serial.ts';

/** A revocation list (CRL, RFC 5280, section 5). */
export interface RevocationList {
  /** The name of its issuer, for texts. */
  readonly issuer: string;
  /** Milliseconds since 1970. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Serial numbers as `serialText` writes them. */
  readonly serials: ReadonlySet<string>;
  /** Was it signed with this key? */
  readonly isSignedBy: (key: KeyObject) => boolean;
}

/** Most entries of a list: reading 1 000 takes about 20 ms. */
const MAX_ENTRIES = 20_000;

/** The lists in a PEM file, as PEM texts: Node takes one list from each text only. */
export function listBlocks(pem: Buffer): readonly string[] {
  return pemBlocks(pem, 'revocation list');
}

/**
 * Reads all lists of a PEM file. Throws `UnreadableDer` for a file without one, and for what the gateway does not know how to
 * hold to: a list of changes only, of some certificates only, or with entries for other issuers, and one without an end.
 */
export function readLists(pem: Buffer): readonly RevocationList[] {
  const lists = known.get(pem) ?? readAll(pem);
  known.set(pem, lists);
  return lists;
}

/** Each content is read once. */
const known = new WeakMap<Buffer, readonly RevocationList[]>();

function readAll(pem: Buffer): readonly RevocationList[] {
  return wholePemBlocks(pem, 'revocation list').map((block) =>
    readList(Buffer.from(block.replace(/-----[^-]*-----/g, ''), 'base64')),
  );
}

function readList(der: Buffer): RevocationList {
  const [body, algorithm, signature] = expect(readDer(der), Tag.SEQUENCE, 'revocation list').children;
  const fields = [...expect(body, Tag.SEQUENCE, 'revocation list').children];
  if (isA(fields[0], Tag.INTEGER)) fields.shift();
  const [inner, issuer, thisUpdate, nextUpdate, ...rest] = fields;
  const end = timeOf(nextUpdate, 'time of the next update');
  const entries = isA(rest[0], Tag.SEQUENCE) ? rest[0].children : [];
  if (entries.length > MAX_ENTRIES) throw new UnreadableDer(`it has more than ${MAX_ENTRIES} entries`);
  const more = rest.find(({ tagClass, tag }) => tagClass === 'context' && tag === 0);
  refuseCritical(more?.children[0]?.children ?? []);
  const scheme = expect(algorithm, Tag.SEQUENCE, 'signature');
  if (!inner?.whole.equals(scheme.whole)) throw new UnreadableDer('its two signature algorithms differ');
  const isValid = verifierOf(scheme, body?.whole ?? der, signature);
  return {
    issuer: nameText(nameOf(issuer)) ?? 'a name that is no plain text',
    thisUpdate: timeOf(thisUpdate, 'time of the update'),
    nextUpdate: end,
    serials: new Set(entries.map(serialOf)),
    isSignedBy: isValid,
  };
}

function serialOf(entry: Element): string {
  const [serial, , extensions] = expect(entry, Tag.SEQUENCE, 'entries').children;
  refuseCritical(extensions?.children ?? []);
  return serialText(expect(serial, Tag.INTEGER, 'serial number').content);
}

/** A rule of a critical extension would have to be held to (RFC 5280, sections 5.2 and 5.3). */
function refuseCritical(extensions: readonly Element[]): void {
  const critical = extensions.map(extensionOf).find(({ critical }) => critical);
  if (critical)
    throw new UnreadableDer(`it has the critical extension ${critical.oid}, which the gateway does not know`);
}

type Verifier = (key: KeyObject, data: Buffer, signature: Buffer) => boolean;

const ecdsa =
  (digest: string): Verifier =>
  (key, data, signature) =>
    key.asymmetricKeyType === 'ec' && verify(digest, data, key, signature);
const rsa =
  (digest: string): Verifier =>
  (key, data, signature) =>
    key.asymmetricKeyType === 'rsa' && verify(digest, data, key, signature);
const edwards =
  (kind: string): Verifier =>
  (key, data, signature) =>
    key.asymmetricKeyType === kind && verify(null, data, key, signature);

/** Signature algorithms (RFC 5758, RFC 4055, RFC 8410). SHA-1 is not among them. */
const VERIFIERS: ReadonlyMap<string, Verifier> = new Map([
  ['1.2.840.10045.4.3.2', ecdsa('sha256')],
  ['1.2.840.10045.4.3.3', ecdsa('sha384')],
  ['1.2.840.10045.4.3.4', ecdsa('sha512')],
  ['1.2.840.113549.1.1.11', rsa('sha256')],
  ['1.2.840.113549.1.1.12', rsa('sha384')],
  ['1.2.840.113549.1.1.13', rsa('sha512')],
  ['1.3.101.112', edwards('ed25519')],
  ['1.3.101.113', edwards('ed448')],
]);

function verifierOf(scheme: Element, data: Buffer, signature: Element | undefined): RevocationList['isSignedBy'] {
  const oid = oidOf(expect(scheme.children[0], Tag.OID, 'signature algorithm'));
  const check = VERIFIERS.get(oid);
  if (!check)
    throw new UnreadableDer(`its signature algorithm ${oid} is not supported: ECDSA, RSA with SHA-2, Ed25519`);
  const [unusedBits, ...bytes] = expect(signature, Tag.BIT_STRING, 'signature').content;
  if (unusedBits !== 0) throw new UnreadableDer('its signature is no whole bytes');
  const content = Buffer.from(bytes);
  return (key) => {
    try {
      return check(key, data, content);
    } catch {
      return false;
    }
  };
}
