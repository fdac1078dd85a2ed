import { createCipheriv, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

/* A client that sends KeyUpdate messages of TLS 1.3 (RFC 8446, section 4.6.3), which no API of Node does: it makes the records itself. */

const KEY_UPDATE_REQUESTED = Buffer.from([24, 0, 0, 1, 1]);
const HANDSHAKE = 22;
const CONTENT = 23;

/** Connections with their handshake done; what is written to `carrier` are records as they are. */
export interface RawRecords {
  readonly socket: TLSSocket;
  readonly carrier: Socket;
  /** As many KeyUpdates, each under the keys of the one before. */
  readonly keyUpdates: (count: number) => Buffer;
  /** A record of content, under the keys of the record before. */
  readonly content: (bytes: Buffer) => Buffer;
}

export async function openRawRecords(options: ConnectionOptions & { readonly port: number }): Promise<RawRecords> {
  const carrier = connectTcp({ port: options.port, host: '127.0.0.1' });
  const ciphers = 'TLS_AES_128_GCM_SHA256';
  const socket = connect({ ...options, socket: carrier, minVersion: 'TLSv1.3', ciphers, servername: 'localhost' });
  let secret: Buffer = Buffer.alloc(0);
  socket
    .on('error', () => undefined)
    .on('keylog', (line: Buffer) => {
      const [label, , value] = line.toString().trim().split(' ');
      if (label === 'CLIENT_TRAFFIC_SECRET_0' && value) secret = Buffer.from(value, 'hex');
    });
  carrier.on('error', () => undefined);
  // Without a reader its end is never noticed.
  socket.resume();
  // A ticket comes behind the end of the handshake on the other side.
  await once(socket, 'session');
  // Records under the present secret: their number is part of the nonce.
  let number = 0;
  const keyUpdates = (count: number): Buffer => {
    const records: Buffer[] = [];
    for (let at = 0; at < count; at += 1) {
      records.push(sealed(secret, number, KEY_UPDATE_REQUESTED, HANDSHAKE));
      secret = expand(secret, 'traffic upd', 32);
      number = 0;
    }
    return Buffer.concat(records);
  };
  const content = (bytes: Buffer): Buffer => {
    number += 1;
    return sealed(secret, number - 1, bytes, CONTENT);
  };
  return { socket, carrier, keyUpdates, content };
}

/** A record under a secret. @param number of it, from 0 (RFC 8446, section 5.3) */
function sealed(secret: Buffer, number: number, message: Buffer, type: number): Buffer {
  const content = Buffer.concat([message, Buffer.from([type])]);
  const head = Buffer.from([0x17, 3, 3, 0, 0]);
  head.writeUInt16BE(content.length + 16, 3);
  const nonce = expand(secret, 'iv', 12);
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ number) >>> 0, 8);
  const cipher = createCipheriv('aes-128-gcm', expand(secret, 'key', 16), nonce).setAAD(head);
  return Buffer.concat([head, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
}

/** HKDF-Expand-Label without a context (RFC 8446, section 7.1), of one block. */
function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}
