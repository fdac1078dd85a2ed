import { readAddress, UNIX_PEER } from './addresses.ts';
import { crc32c } from './crc32c.ts';

/**
 * The header of the PROXY protocol (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt), versions 1 and 2, at the
 * begin of a connection.
 *
 * - `partial`: more bytes are needed to tell
 * - `absent`: the connection begins with something else
 * - `malformed`: a header that breaks the rules, or is above the bounds
 * - `source`: the client's address; `undefined` = the header names none (`UNKNOWN`, `LOCAL`, `UNSPEC`): the peer's own counts
 */
export type ProxyHeader =
  | 'partial'
  | 'absent'
  | 'malformed'
  | { readonly length: number; readonly source: string | undefined };

const V1_BEGIN = Buffer.from('PROXY ');
const V2_BEGIN = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Longest line of version 1, with its CRLF. */
const V1_BYTES = 107;
/** Bytes of version 2 before the addresses. */
const V2_HEAD = 16;
/** Most bytes of addresses and TLVs that are accepted; the format could announce 65535. */
const V2_BODY = 8192;

/** @param bytes of the connection so far; those after the header are not looked at */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsWith(bytes, V2_BEGIN)) return bytes.length < V2_HEAD ? 'partial' : readV2(bytes);
  if (beginsWith(bytes, V1_BEGIN)) return bytes.length < V1_BEGIN.length ? 'partial' : readV1(bytes);
  return 'absent';
}

/** Is one of the two the begin of the other? */
function beginsWith(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, length, 0, length) === 0;
}

const UNKNOWN = /^PROXY UNKNOWN(?: [^\r\n]*)?\r\n$/;
const TCP = /^PROXY TCP([46]) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n$/;

function readV1(bytes: Buffer): ProxyHeader {
  const length = bytes.indexOf(0x0a) + 1;
  if (length === 0 && bytes.length < V1_BYTES) return 'partial';
  if (length === 0 || length > V1_BYTES) return 'malformed';
  const line = bytes.toString('latin1', 0, length);
  if (UNKNOWN.test(line)) return { length, source: undefined };
  const [, family, source = '', target = '', ...ports] = TCP.exec(line) ?? [];
  if (ports.length === 0 || ports.some((port) => Number(port) > 65_535)) return 'malformed';
  const isOfFamily = (address: string): boolean => address.includes(':') === (family === '6');
  const [from, to] = [readAddress(source), readAddress(target)];
  if (from === undefined || to === undefined || !isOfFamily(source) || !isOfFamily(target)) return 'malformed';
  return { length, source: from };
}

const Command = { LOCAL: 0x20, PROXY: 0x21 } as const;

/** Size of the addresses by family and transport; what is not here is refused. Datagrams cannot come over a stream. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x21, 36],
  [0x31, 216],
]);

function readV2(bytes: Buffer): ProxyHeader {
  const command = bytes[12];
  const announced = bytes.readUInt16BE(14);
  if (command !== Command.LOCAL && command !== Command.PROXY) return 'malformed';
  if (announced > V2_BODY) return 'malformed';
  const length = V2_HEAD + announced;
  if (bytes.length < length) return 'partial';
  // Health checks of the proxy itself: everything else in the header is to be skipped.
  if (command === Command.LOCAL) return { length, source: undefined };
  const kind = bytes[13] ?? 0;
  const size = ADDRESS_BYTES.get(kind);
  if (size === undefined || announced < size) return 'malformed';
  if (kind !== 0 && !areTlvsSound(bytes.subarray(0, length), V2_HEAD + size)) return 'malformed';
  return { length, source: sourceOf(kind, bytes) };
}

function sourceOf(kind: number, bytes: Buffer): string | undefined {
  if (kind === 0x00) return undefined;
  if (kind === 0x31) return UNIX_PEER;
  if (kind === 0x11) return [...bytes.subarray(V2_HEAD, V2_HEAD + 4)].join('.');
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(V2_HEAD + 2 * at).toString(16));
  return readAddress(groups.join(':'));
}

const CHECKSUM = 0x03;

/** TLVs are skipped; the checksum of the header is held to if there is one. */
function areTlvsSound(header: Buffer, begin: number): boolean {
  for (let at = begin; at < header.length; ) {
    if (header.length - at < 3) return false;
    const value = at + 3;
    const size = header.readUInt16BE(at + 1);
    if (header.length - value < size) return false;
    if (header[at] === CHECKSUM && !(size === 4 && isChecksum(header, value))) return false;
    at = value + size;
  }
  return true;
}

/** The checksum is made over the header with zeroes in its place. */
function isChecksum(header: Buffer, at: number): boolean {
  const zeroed = Buffer.from(header).fill(0, at, at + 4);
  return crc32c(zeroed) === header.readUInt32BE(at);
}
