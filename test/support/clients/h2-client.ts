import type { Socket } from 'node:net';
import { FrameReader } from '../../../src/http2/frame-reader.ts';
import {
  CLIENT_PREFACE,
  Flag,
  type Frame,
  FrameType,
  headerFragmentOf,
  type Setting,
} from '../../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField, HpackDecoder } from '../../../src/http2/hpack.ts';
import { writeData, writeHeaders, writeSettings } from '../../../src/http2/write-frames.ts';
import { unhurried } from '../patience.ts';
import { openPlain, openTls } from './sockets.ts';

/** What both sides start from, and the largest payload a peer accepts. */
const INITIAL_WINDOW = 65_535;
const MOST_DATA = 16_384;

/** A frame as the client saw it. */
export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** Of a HEADERS frame. */
  readonly headers: Record<string, string>;
}

/** A client that speaks HTTP/2 frame by frame, so that a test decides about every byte. Grants no window by itself. */
export class H2Client {
  readonly socket: Socket;
  readonly frames: SeenFrame[] = [];
  readonly #decoder = new HpackDecoder({ maxHeaderBytes: 1_048_576, maxHeaders: 1000 });
  #waiting: (() => void) | undefined;
  /** DATA bytes sent by `call` and `stream`. */
  #sentData = 0;
  closed = false;

  /** Speaks on a connection that is there; preface and settings are the caller's to send. */
  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    const reader = new FrameReader(16_777_215);
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk, (frame) => this.#see(frame));
      this.#waiting?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#waiting?.();
    });
  }

  /** Connects and sends preface and settings. With `ca`: over TLS with ALPN h2. */
  static async connect(
    port: number,
    options: { readonly ca?: Buffer; readonly settings?: readonly Setting[]; readonly bare?: boolean } = {},
  ): Promise<H2Client> {
    const socket = options.ca ? await openTls(port, { ca: options.ca, ALPNProtocols: ['h2'] }) : await openPlain(port);
    const client = new H2Client(socket);
    if (!options.bare) client.send(CLIENT_PREFACE, writeSettings(options.settings ?? []));
    return client;
  }

  send(...parts: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(parts));
  }

  /** Request headers of a gRPC call. */
  headers(streamId: number, path: string, fields: readonly HeaderField[] = [], endStream = false): Buffer {
    const all: HeaderField[] = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'localhost'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ...fields,
    ];
    return writeHeaders(streamId, encodeHeaders(all), endStream);
  }

  /** A whole unary call: headers and one message. */
  call(streamId: number, path: string, message: Buffer, fields: readonly HeaderField[] = []): void {
    const data = framed(message);
    this.#sentData += data.length;
    this.send(this.headers(streamId, path, fields), writeData(streamId, data, true));
  }

  /**
   * Sends the DATA of a stream as far as its windows allow, until it has been answered. Tells how often there was nothing that
   * could be sent. @param window the stream begins with
   */
  async stream(streamId: number, bytes: Buffer, ends = true, window = INITIAL_WINDOW): Promise<number> {
    let waits = 0;
    let seen = 0;
    let over = false;
    const before = this.#sentData;
    const granted = { connection: INITIAL_WINDOW - before, stream: window };
    const look = (): number => {
      for (; seen < this.frames.length; seen += 1) {
        const frame = this.frames[seen];
        if (frame?.type === FrameType.WINDOW_UPDATE) {
          if (frame.streamId === 0) granted.connection += frame.payload.readUInt32BE(0);
          if (frame.streamId === streamId) granted.stream += frame.payload.readUInt32BE(0);
        } else if (frame?.streamId === streamId) {
          over ||= frame.type === FrameType.HEADERS || frame.type === FrameType.RST_STREAM;
        }
      }
      return Math.min(granted.connection, granted.stream);
    };
    for (let at = 0; at < bytes.length && !over; ) {
      const size = Math.min(MOST_DATA, look() - at, bytes.length - at);
      if (size <= 0) {
        waits += 1;
        await this.until(() => (look() > at || over ? true : undefined));
        continue;
      }
      this.send(writeData(streamId, bytes.subarray(at, at + size), ends && at + size === bytes.length));
      at += size;
      this.#sentData = before + at;
    }
    return waits;
  }

  /** Waits until `found` finds something in what has been seen, or the connection closes. At most 10 s. */
  async until<T>(found: (frames: readonly SeenFrame[]) => T | undefined): Promise<T> {
    const end = AbortSignal.timeout(unhurried(10_000));
    for (;;) {
      const hit = found(this.frames);
      if (hit !== undefined) return hit;
      if (this.closed) throw new Error('connection closed while waiting');
      if (end.aborted) throw new Error('waited for 10 s and more');
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
        setTimeout(resolve, 1000).unref();
      });
    }
  }

  /** gRPC status and message at the end of a stream; a reset is `reset N`. */
  async status(streamId: number): Promise<string> {
    return await this.until((frames) => {
      for (const { type, flags, streamId: id, headers, payload } of frames) {
        if (id !== streamId) continue;
        if (type === FrameType.RST_STREAM) return `reset ${payload.readUInt32BE(0)}`;
        if (type === FrameType.HEADERS && (flags & Flag.END_STREAM) !== 0) {
          const message = headers['grpc-message'];
          return message === undefined
            ? `${headers['grpc-status']}`
            : `${headers['grpc-status']} ${decodeURIComponent(message)}`;
        }
      }
      return undefined;
    });
  }

  /** Everything received as DATA on a stream so far. */
  body(streamId: number): Buffer {
    return Buffer.concat(
      this.frames
        .filter(({ type, streamId: id }) => type === FrameType.DATA && id === streamId)
        .map(({ payload }) => payload),
    );
  }

  close(): void {
    this.socket.destroy();
  }

  #see(frame: Frame): void {
    const headers: Record<string, string> = {};
    if (frame.type === FrameType.HEADERS) {
      this.#decoder.decode(headerFragmentOf(frame), (name, value) => {
        headers[name] = value;
      });
    }
    const { type, flags, streamId } = frame;
    this.frames.push({ type, flags, streamId, payload: Buffer.from(frame.payload), headers });
  }
}

/** A message with its five-byte prefix. */
export function framed(message: Buffer, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** A message that only names a collection in field 1. */
export function naming(collection: string): Buffer {
  const name = Buffer.from(collection);
  return Buffer.concat([Buffer.from([0x0a, name.length]), name]);
}
