import { createServer, type Server, type Socket } from 'node:net';
import { FrameReader } from '../../../src/http2/frame-reader.ts';
import { Flag, type Frame, FrameType, parseSettings, SettingId, windowIncrementOf } from '../../../src/http2/frames.ts';
import { encodeHeaders } from '../../../src/http2/hpack.ts';
import {
  writeData,
  writeHeaders,
  writePing,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../../src/http2/write-frames.ts';
import { field, HUGE_ANSWER, LARGE_ANSWER, SMALL_ANSWER } from './messages.ts';

/*
 * The upstream of every gateway under measurement: two listeners that answer every request with the same prepared bytes.
 * They parse only what they must, on raw sockets, so that they are never what a gateway waits for.
 *
 *   node test/bench/load/upstream.ts <rest port> <grpc port>
 */

const HEAD_END = '\r\n\r\n';
const LARGE_WINDOW = 0x3fff_ffff;
const CREDIT_STEP = 0x0fff_ffff;
const FIRST_WINDOW = 65_535;
/** Bytes of the gRPC answer that are not padding. */
const PADDING_FROM = 8;

/** It says what tenants need of a collection: that it has no shard keys. */
const COLLECTION_INFO =
  '{"result":{"status":"green","optimizer_status":"ok","config":{"params":{}},"pad":""},"status":"ok","time":0.0001}';

function restAnswer(bytes: number): Buffer {
  return withHead(COLLECTION_INFO.replace('"pad":""', `"pad":"${'x'.repeat(bytes - COLLECTION_INFO.length)}"`));
}

function withHead(body: string): Buffer {
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`;
  return Buffer.from(`${head}${HEAD_END}${body}`, 'latin1');
}

const SMALL = restAnswer(SMALL_ANSWER);
const ROOT = { line: 'GET / ', answer: withHead('{"title":"qdrant - vector search engine","version":"1.20.0"}') };
const LARGE = [LARGE_ANSWER, HUGE_ANSWER].map(({ line, bytes }) => ({ line: `${line} `, answer: restAnswer(bytes) }));
const OTHERS = [...LARGE, ROOT];

/** Answers HTTP/1.1 requests with or without `content-length`; knows no chunked bodies. */
function serveRest(): Server {
  return createServer({ noDelay: true }, (socket) => {
    let head = '';
    let bodyLeft = 0;
    let answer = SMALL;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      const skipped = Math.min(bodyLeft, chunk.length);
      bodyLeft -= skipped;
      if (skipped > 0 && bodyLeft === 0) socket.write(answer);
      if (skipped === chunk.length) return;
      head += chunk.toString('latin1', skipped);
      for (let end = head.indexOf(HEAD_END); end !== -1; end = head.indexOf(HEAD_END)) {
        const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head.slice(0, end))?.[1] ?? 0);
        answer = OTHERS.find(({ line }) => head.startsWith(line))?.answer ?? SMALL;
        const after = head.length - end - HEAD_END.length;
        head = head.slice(end + HEAD_END.length + Math.min(length, after));
        bodyLeft = length - Math.min(length, after);
        if (bodyLeft === 0) socket.write(answer);
      }
    });
  });
}

/** HEADERS, DATA and trailers of one answer as one piece, and where its three stream ids stand. */
function grpcAnswer(): { readonly bytes: Buffer; readonly streamIdsAt: readonly number[] } {
  // As `CollectionInfoResponse`: `result { config {}, 15: <padding> }`, so no shard keys.
  const config = field(7, Buffer.alloc(0));
  const padding = field(15, Buffer.alloc(SMALL_ANSWER - PADDING_FROM));
  const result = field(1, Buffer.concat([config, padding]));
  if (result.length !== SMALL_ANSWER) throw new RangeError('the answer has another size');
  const message = Buffer.concat([Buffer.alloc(5), result]);
  message.writeUInt32BE(SMALL_ANSWER, 1);
  const head = encodeHeaders([
    [':status', '200'],
    ['content-type', 'application/grpc'],
  ]);
  const parts = [
    writeHeaders(1, head, false),
    writeData(1, message, false),
    writeHeaders(1, encodeHeaders([['grpc-status', '0']]), true),
  ];
  let at = 0;
  const streamIdsAt = parts.map((part) => {
    at += part.length;
    return at - part.length + 5;
  });
  return { bytes: Buffer.concat(parts), streamIdsAt };
}

const ANSWER = grpcAnswer();

/** One client connection: answers each stream once its request has ended, whatever the request says. */
class GrpcConnection {
  readonly #socket: Socket;
  readonly #reader = new FrameReader(undefined, true);
  #ended: number[] = [];
  #credit = FIRST_WINDOW;
  #received = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.write(writeSettings([[SettingId.INITIAL_WINDOW_SIZE, LARGE_WINDOW]]));
    socket.write(writeWindowUpdate(0, LARGE_WINDOW));
    const onFrame = (frame: Frame): void => this.#take(frame);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk, onFrame);
      this.#answer();
    });
  }

  #take(frame: Frame): void {
    if (frame.type === FrameType.DATA || frame.type === FrameType.HEADERS) {
      if (frame.type === FrameType.DATA) this.#giveBack(frame.length);
      if (frame.has(Flag.END_STREAM)) this.#ended.push(frame.streamId);
    } else if (frame.type === FrameType.WINDOW_UPDATE) {
      if (frame.streamId === 0) this.#credit += windowIncrementOf(frame);
    } else if (frame.type === FrameType.SETTINGS && !frame.has(Flag.ACK)) {
      const window = parseSettings(frame.payload, 'client').find(([id]) => id === SettingId.INITIAL_WINDOW_SIZE);
      if (window !== undefined && window[1] < SMALL_ANSWER + 5) throw new RangeError('window below one answer');
      this.#socket.write(writeSettingsAck());
    } else if (frame.type === FrameType.PING && !frame.has(Flag.ACK)) {
      this.#socket.write(writePing(frame.payload, true));
    }
  }

  #giveBack(bytes: number): void {
    this.#received += bytes;
    if (this.#received < CREDIT_STEP) return;
    this.#socket.write(writeWindowUpdate(0, this.#received));
    this.#received = 0;
  }

  #answer(): void {
    const count = Math.min(this.#ended.length, Math.floor(this.#credit / (SMALL_ANSWER + 5)));
    if (count === 0) return;
    const { bytes, streamIdsAt } = ANSWER;
    const out = Buffer.allocUnsafe(count * bytes.length);
    for (let index = 0; index < count; index++) {
      const from = index * bytes.length;
      bytes.copy(out, from);
      for (const at of streamIdsAt) out.writeUInt32BE(this.#ended[index] ?? 0, from + at);
    }
    this.#ended = this.#ended.slice(count);
    this.#credit -= count * (SMALL_ANSWER + 5);
    this.#socket.write(out);
  }
}

if (import.meta.main) {
  const [restPort, grpcPort] = process.argv.slice(2).map(Number);
  serveRest().listen(restPort, '127.0.0.1');
  createServer({ noDelay: true }, (socket) => new GrpcConnection(socket)).listen(grpcPort, '127.0.0.1');
}
