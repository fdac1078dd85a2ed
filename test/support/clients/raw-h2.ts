import { connect, type TLSSocket } from 'node:tls';
import { FrameType } from '../../../src/http2/frames.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** One HTTP/2 frame as bytes. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer | string = ''): Buffer {
  const content = Buffer.from(payload as string);
  const head = Buffer.alloc(9);
  head.writeUIntBE(content.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, content]);
}

/** A header block without compression. */
export function block(fields: Readonly<Record<string, string>>): Buffer {
  const string = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), string(name), string(value)]),
  );
}

/** A frame that came. */
export interface Seen {
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
  readonly payload: Buffer;
}

/**
 * Opens a connection over TLS, sends its preface, SETTINGS and `bytes`, and gives the frames that come until `until` is content
 * or the connection ends. `until` is asked after each piece, and may write more.
 */
export function framesOf(
  port: number,
  bytes: readonly Buffer[],
  until: (seen: readonly Seen[], socket: TLSSocket) => boolean,
): Promise<Seen[]> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    const seen: Seen[] = [];
    let came = Buffer.alloc(0);
    const done = () => {
      socket.destroy();
      resolve(seen);
    };
    socket.on('error', () => undefined).on('close', done);
    socket.on('data', (chunk: Buffer) => {
      came = Buffer.concat([came, chunk]);
      while (came.length >= 9 && came.length >= 9 + came.readUIntBE(0, 3)) {
        const length = came.readUIntBE(0, 3);
        const payload = came.subarray(9, 9 + length);
        const [type, flags] = [came.readUInt8(3), came.readUInt8(4)];
        seen.push({ streamId: came.readUInt32BE(5), type, flags, payload });
        came = came.subarray(9 + length);
      }
      if (until(seen, socket)) done();
    });
    socket.write(Buffer.concat([Buffer.from(PREFACE), frame(FrameType.SETTINGS, 0, 0), ...bytes]));
  });
}
