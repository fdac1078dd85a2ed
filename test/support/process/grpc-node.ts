import { createHash, type Hash } from 'node:crypto';
import { createServer as createRest, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { FrameReader } from '../../../src/http2/frame-reader.ts';
import {
  dataOf,
  Flag,
  type Frame,
  FrameType,
  headerFragmentOf,
  parseSettings,
  SettingId,
  windowIncrementOf,
} from '../../../src/http2/frames.ts';
import { encodeHeaders, HpackDecoder } from '../../../src/http2/hpack.ts';
import {
  writeData,
  writeHeaders,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../../src/http2/write-frames.ts';

/*
 * A node in a process of its own: `grpc-node.ts REST_PORT GRPC_PORT [DELAY_MS [HOST]]`. It prints its ports, and then the `x-call` of
 * each write that it runs, before it answers. An answer is the `x-call`; with `x-down`, the SHA-256 of the request and so many
 * bytes of 7. A small answer is sent as a whole or not at all, also when the process is killed. Over
 * REST a call is a number: the id of the point that is written (`rest NUMBER` is printed), or that is counted by its id.
 */

const [restPort = 0, grpcPort = 0, delayMs = 0] = process.argv.slice(2, 5).map(Number);
const host = process.argv[5] ?? '127.0.0.1';

const HEAD = encodeHeaders([
  [':status', '200'],
  ['content-type', 'application/grpc'],
]);
const END = encodeHeaders([['grpc-status', '0']]);
const WINDOW = 65_535;
const SMALL_BYTES = 1000;

interface Call {
  readonly fields: ReadonlyMap<string, string>;
  readonly hash: Hash;
  window: number;
  left: Buffer;
}

class Connection {
  readonly #socket: Socket;
  readonly #decoder = new HpackDecoder({ maxHeaderBytes: 65_536, maxHeaders: 200 });
  readonly #calls = new Map<number, Call>();
  #window = WINDOW;
  #initial = WINDOW;

  constructor(socket: Socket) {
    this.#socket = socket;
    const reader = new FrameReader(16_384, true);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => reader.push(chunk, (frame) => this.#take(frame)));
    socket.write(writeSettings([]));
  }

  #take(frame: Frame): void {
    const { type, streamId } = frame;
    if (type === FrameType.HEADERS) {
      const fields = new Map<string, string>();
      this.#decoder.decode(headerFragmentOf(frame), (name, value) => fields.set(name, value));
      this.#calls.set(streamId, { fields, hash: createHash('sha256'), window: this.#initial, left: Buffer.alloc(0) });
    } else if (type === FrameType.DATA) this.#data(frame);
    else if (type === FrameType.RST_STREAM) this.#calls.delete(streamId);
    else if (type === FrameType.WINDOW_UPDATE) this.#granted(streamId, windowIncrementOf(frame));
    else if (type === FrameType.SETTINGS && !frame.has(Flag.ACK)) this.#settings(frame);
  }

  #data(frame: Frame): void {
    const { streamId, length } = frame;
    const call = this.#calls.get(streamId);
    if (length > 0) {
      this.#socket.write(Buffer.concat([writeWindowUpdate(0, length), writeWindowUpdate(streamId, length)]));
    }
    call?.hash.update(dataOf(frame));
    if (!call || !frame.has(Flag.END_STREAM)) return;
    const { fields, hash } = call;
    const name = fields.get('x-call') ?? '';
    const down = fields.get('x-down');
    if (fields.get(':path')?.endsWith('/Upsert')) process.stdout.write(`${name}\n`);
    const message =
      down === undefined ? Buffer.from(name) : Buffer.concat([hash.digest(), Buffer.alloc(Number(down), 7)]);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    call.left = Buffer.concat([prefix, message]);
    if (delayMs > 0) setTimeout(() => this.#answer(streamId, call), delayMs);
    else this.#answer(streamId, call);
  }

  #answer(id: number, call: Call): void {
    if (!this.#calls.has(id)) return;
    const { length } = call.left;
    if (length < SMALL_BYTES && length <= Math.min(this.#window, call.window)) {
      this.#window -= length;
      this.#calls.delete(id);
      const data = writeData(id, call.left, false);
      this.#socket.write(Buffer.concat([writeHeaders(id, HEAD, false), data, writeHeaders(id, END, true)]));
      return;
    }
    this.#socket.write(writeHeaders(id, HEAD, false));
    this.#pump(id, call);
  }

  #pump(id: number, call: Call): void {
    while (call.left.length > 0) {
      const size = Math.min(16_384, this.#window, call.window, call.left.length);
      if (size <= 0) return;
      this.#window -= size;
      call.window -= size;
      this.#socket.write(writeData(id, call.left.subarray(0, size), false));
      call.left = call.left.subarray(size);
      if (call.left.length > 0) continue;
      this.#calls.delete(id);
      this.#socket.write(writeHeaders(id, END, true));
    }
  }

  #granted(id: number, increment: number): void {
    const call = this.#calls.get(id);
    if (id === 0) this.#window += increment;
    else if (call) call.window += increment;
    for (const [one, waiting] of [...this.#calls]) this.#pump(one, waiting);
  }

  #settings(frame: Frame): void {
    for (const [id, value] of parseSettings(frame.payload, 'client')) {
      if (id !== SettingId.INITIAL_WINDOW_SIZE) continue;
      for (const call of this.#calls.values()) call.window += value - this.#initial;
      this.#initial = value;
    }
    this.#socket.write(writeSettingsAck());
  }
}

function answerRest(request: IncomingMessage, response: ServerResponse, body: string): void {
  // `{"points":[{"id":7,...` and `{"filter":{"must":[{"has_id":[7]`.
  const call = Number(body.match(/\d+/)?.[0]);
  const isWrite = request.method === 'PUT';
  if (isWrite) process.stdout.write(`rest ${call}\n`);
  const result = isWrite ? { operation_id: call, status: 'completed' } : { count: call };
  response.setHeader('content-type', 'application/json');
  const end = (): void => void response.end(JSON.stringify({ result, status: 'ok', time: 0 }));
  if (delayMs > 0) setTimeout(end, delayMs);
  else end();
}

const rest = createRest(async (request, response) => {
  if (request.url?.startsWith('/collections/')) {
    answerRest(request, response, await text(request).catch(() => ''));
    return;
  }
  const isRoot = request.url === '/';
  response.writeHead(200, { 'content-type': isRoot ? 'application/json' : 'text/plain' });
  response.end(
    isRoot ? '{"title":"qdrant - vector search engine","version":"1.19.0","commit":"0"}' : 'all shards are ready',
  );
});
const grpc = createServer({ noDelay: true }, (socket) => new Connection(socket));

rest.listen(restPort, host, () => {
  grpc.listen(grpcPort, host, () => {
    const ports = [rest, grpc].map((server) => (server.address() as AddressInfo).port);
    process.stdout.write(`ports ${ports.join(' ')}\n`);
  });
});
