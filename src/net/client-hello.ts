/*
 * The protocols that a client offers, read from its first TLS record before any TLS is spoken. Only to choose which server takes the
 * connection: what is negotiated is up to that server.
 */

/** Largest record that is read, without its head. A validator's is far smaller, also with a key share of post-quantum cryptography. */
const MOST_BYTES = 4096;
const HANDSHAKE = 0x16;
const CLIENT_HELLO = 1;
const ALPN = 16;

/** A reader of big-endian fields. INVARIANT: it reads nothing beyond its bytes; `ok` is false once it should have. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;
  ok = true;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  whole(size: 1 | 2 | 3): number {
    return this.bytes(size).reduce((value, byte) => value * 256 + byte, 0);
  }

  bytes(size: number): Buffer {
    if (size > this.left) this.ok = false;
    const found = this.#bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    return this.ok ? found : Buffer.alloc(0);
  }

  /** Bytes after their length. */
  vector(size: 1 | 2 | 3): Buffer {
    return this.bytes(this.whole(size));
  }
}

/**
 * The protocols that a client offers by ALPN (RFC 7301 section 3.1), in its order. `more` = the record is not complete; `none` = it
 * offers none, or its first record is larger than 4096 bytes, or no whole, valid ClientHello.
 *
 * @param bytes the first bytes of a connection
 */
export function offeredProtocols(bytes: Buffer): readonly string[] | 'more' | 'none' {
  if (bytes.length < 5) return 'more';
  const size = bytes.readUInt16BE(3);
  if (bytes[0] !== HANDSHAKE || size > MOST_BYTES) return 'none';
  if (bytes.length < 5 + size) return 'more';
  const record = new Fields(bytes.subarray(5, 5 + size));
  if (record.whole(1) !== CLIENT_HELLO) return 'none';
  const hello = new Fields(record.vector(3));
  hello.bytes(2 + 32); // legacy_version, random
  hello.vector(1); // legacy_session_id
  hello.vector(2); // cipher_suites
  hello.vector(1); // legacy_compression_methods
  const extensions = new Fields(hello.vector(2));
  if (!record.ok || !hello.ok) return 'none';
  while (extensions.left > 0 && extensions.ok) {
    const type = extensions.whole(2);
    const content = extensions.vector(2);
    if (type === ALPN && extensions.ok) return protocolsIn(content);
  }
  return 'none';
}

function protocolsIn(content: Buffer): readonly string[] | 'none' {
  const outer = new Fields(content);
  const list = new Fields(outer.vector(2));
  const names: string[] = [];
  while (list.left > 0 && list.ok) names.push(list.vector(1).toString('latin1'));
  return outer.ok && list.ok && outer.left === 0 && names.length > 0 ? names : 'none';
}
