import { crc32c } from '../../src/net/crc32c.ts';

/* Headers of version 2 of the PROXY protocol, byte by byte. */

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** @param command version and command @param kind family and transport @param rest addresses and TLVs */
export function v2(command: number, kind: number, rest: Buffer): Buffer {
  const fixed = Buffer.from([command, kind, 0, 0]);
  fixed.writeUInt16BE(rest.length, 2);
  return Buffer.concat([SIGNATURE, fixed, rest]);
}

/** Addresses and ports of IPv4. */
export function addresses4(source: string): Buffer {
  return Buffer.from([...source.split('.').map(Number), 127, 0, 0, 1, 0x12, 0x34, 0x18, 0xbd]);
}

/** The same of IPv6. @param source 32 hexadecimal digits */
export function addresses6(source: string): Buffer {
  return Buffer.concat([Buffer.from(source, 'hex'), Buffer.alloc(15), Buffer.from([1, 0x12, 0x34, 0x18, 0xbd])]);
}

/** One TLV. */
export function tlv(type: number, value: Buffer): Buffer {
  const head = Buffer.from([type, 0, 0]);
  head.writeUInt16BE(value.length, 1);
  return Buffer.concat([head, value]);
}

/** A header that ends in its checksum. */
export function checked(command: number, kind: number, rest: Buffer): Buffer {
  const header = v2(command, kind, Buffer.concat([rest, tlv(0x03, Buffer.alloc(4))]));
  header.writeUInt32BE(crc32c(header), header.length - 4);
  return header;
}
