import type { TLSSocket } from 'node:tls';
import {
  CLIENT_PREFACE,
  dataOf,
  Flag,
  type Frame,
  FrameReader,
  FrameType,
  headerFragmentOf,
  parseSettings,
  SettingId,
  windowIncrementOf,
  writeData,
  writeHeaders,
  writePing,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../src/grpc/frames.ts';
import { DEFAULT_TABLE_BYTES, HpackDecoder } from '../../src/grpc/hpack.ts';
import { type HeaderBlocks, indexingBlocks } from './header-blocks.ts';
import { type Load, loadOn, openConnections, Tally, type Target } from './load.ts';

/** Connections, and unary calls open at once on each. */
export const GRPC_CONNECTIONS = 8;
export const GRPC_STREAMS = 16;

const LARGE_WINDOW = 0x3fff_ffff;
const CREDIT_STEP = 0x0fff_ffff;
const LIMITS = { maxHeaderBytes: 65_536, maxHeaders: 100 };

type Call = { httpStatus: string; grpcStatus: string; bytes: number };

/** Repeats one unary call on one connection, as many at once as there are streams. */
class GrpcConnection {
  readonly #socket: TLSSocket;
  readonly #blocks: HeaderBlocks;
  readonly #message: Buffer;
  readonly #answerBytes: number;
  readonly #tally: Tally;
  readonly #reader = new FrameReader();
  readonly #decoder = new HpackDecoder(LIMITS);
  readonly #calls = new Map<number, Call>();
  readonly #onFrame = (frame: Frame): void => this.#take(frame);
  #nextStream = 1;
  #waiting = GRPC_STREAMS;
  #credit = 65_535;
  #received = 0;
  #ready = false;

  constructor(socket: TLSSocket, blocks: HeaderBlocks, message: Buffer, answerBytes: number, tally: Tally) {
    this.#socket = socket;
    this.#blocks = blocks;
    this.#message = message;
    this.#answerBytes = answerBytes;
    this.#tally = tally;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    const settings = writeSettings([
      [SettingId.ENABLE_PUSH, 0],
      [SettingId.INITIAL_WINDOW_SIZE, LARGE_WINDOW],
    ]);
    socket.write(Buffer.concat([CLIENT_PREFACE, settings, writeWindowUpdate(0, LARGE_WINDOW)]));
  }

  #read(chunk: Buffer): void {
    try {
      this.#reader.push(chunk, this.#onFrame);
      this.#send();
    } catch (error) {
      this.#tally.fail(error instanceof Error ? error.message : 'unknown error');
      this.#socket.destroy();
    }
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case FrameType.HEADERS:
        this.#takeHeaders(frame);
        break;
      case FrameType.DATA:
        this.#takeData(frame);
        break;
      case FrameType.SETTINGS:
        this.#takeSettings(frame);
        break;
      case FrameType.WINDOW_UPDATE:
        if (frame.streamId === 0) this.#credit += windowIncrementOf(frame);
        break;
      case FrameType.PING:
        if (!frame.has(Flag.ACK)) this.#socket.write(writePing(frame.payload, true));
        break;
      case FrameType.RST_STREAM:
        this.#tally.fail('a stream was reset');
        this.#settle(frame.streamId);
        break;
      case FrameType.GOAWAY:
      case FrameType.CONTINUATION:
        throw new Error(`unexpected frame of type ${frame.type}`);
    }
  }

  #takeSettings(frame: Frame): void {
    if (frame.has(Flag.ACK)) return;
    for (const [id, value] of parseSettings(frame.payload, 'server')) {
      // The prepared header blocks rely on both.
      if (id === SettingId.HEADER_TABLE_SIZE && value < DEFAULT_TABLE_BYTES) throw new Error('header table too small');
      if (id === SettingId.MAX_CONCURRENT_STREAMS && value < GRPC_STREAMS) throw new Error('too few streams allowed');
    }
    this.#socket.write(writeSettingsAck());
    this.#ready = true;
  }

  #takeHeaders(frame: Frame): void {
    if (!frame.has(Flag.END_HEADERS)) throw new Error('unexpected CONTINUATION');
    const call = this.#calls.get(frame.streamId);
    this.#decoder.decode(headerFragmentOf(frame), (name, value) => {
      if (call === undefined) return;
      if (name === ':status') call.httpStatus = value;
      else if (name === 'grpc-status') call.grpcStatus = value;
    });
    if (frame.has(Flag.END_STREAM)) this.#finish(frame.streamId, call);
  }

  #takeData(frame: Frame): void {
    const call = this.#calls.get(frame.streamId);
    if (call !== undefined) call.bytes += dataOf(frame).length;
    this.#received += frame.length;
    if (this.#received >= CREDIT_STEP) {
      this.#socket.write(writeWindowUpdate(0, this.#received));
      this.#received = 0;
    }
    if (frame.has(Flag.END_STREAM)) this.#finish(frame.streamId, call);
  }

  #finish(streamId: number, call: Call | undefined): void {
    if (call === undefined) return;
    const { httpStatus, grpcStatus, bytes } = call;
    if (httpStatus === '200' && grpcStatus === '0' && bytes === this.#answerBytes) this.#tally.completed++;
    else this.#tally.fail(`answer \`${httpStatus}\`, grpc-status \`${grpcStatus}\`, ${bytes} bytes`);
    this.#settle(streamId);
  }

  #settle(streamId: number): void {
    if (this.#calls.delete(streamId)) this.#waiting++;
  }

  /** Opens a stream for each call that may run, all in one write. */
  #send(): void {
    if (!this.#ready) return;
    const parts: Buffer[] = [];
    const cost = this.#message.length;
    for (; this.#waiting > 0 && this.#credit >= cost; this.#waiting--) {
      const id = this.#nextStream;
      this.#nextStream += 2;
      this.#credit -= cost;
      this.#calls.set(id, { httpStatus: '', grpcStatus: '', bytes: 0 });
      parts.push(writeHeaders(id, id === 1 ? this.#blocks.first : this.#blocks.next, false));
      parts.push(writeData(id, this.#message, true));
    }
    if (parts.length > 0) this.#socket.write(Buffer.concat(parts));
  }
}

/** Opens TLS connections and repeats one unary call on them. `answerBytes` are those of the answer's message. */
export async function startGrpcLoad(target: Target, path: string, message: Buffer, answerBytes: number): Promise<Load> {
  const tally = new Tally();
  const blocks = indexingBlocks([
    [':method', 'POST'],
    [':scheme', 'https'],
    [':path', path],
    [':authority', `localhost:${target.port}`],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ['user-agent', 'bench'],
    ['api-key', target.credential],
  ]);
  const framed = Buffer.concat([Buffer.alloc(5), message]);
  framed.writeUInt32BE(message.length, 1);
  const sockets = await openConnections(target, GRPC_CONNECTIONS, 'h2');
  return loadOn(sockets, tally, (socket) => new GrpcConnection(socket, blocks, framed, answerBytes + 5, tally));
}
