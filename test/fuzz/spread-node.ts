import type { Socket } from 'node:net';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import {
  checkFrame,
  dataOf,
  ErrorCode,
  Flag,
  type Frame,
  FrameType,
  headerFragmentOf,
  parseSettings,
  SettingId,
  windowIncrementOf,
} from '../../src/http2/frames.ts';
import { encodeHeaders, HpackDecoder } from '../../src/http2/hpack.ts';
import {
  writeData,
  writeGoaway,
  writeHeaders,
  writeRstStream,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../src/http2/write-frames.ts';
import { framed } from '../support/clients/h2-client.ts';

const INITIAL_WINDOW = 65_535;

/** What a node takes, and how it goes wrong. */
export interface NodeScript {
  /** Initial window of its streams, and its connection window, in bytes. */
  readonly initial: number;
  readonly connection: number;
  /** 0 = no limit. */
  readonly mostStreams: number;
  /** Grants once so many bytes have come; at most half of each window. */
  readonly grantEvery: number;
  /** At the so-many-th call on a connection; 0 = never. */
  readonly faultAt: number;
  readonly fault: 'goaway' | 'refuse' | 'lost';
}

interface Call {
  readonly number: number;
  readonly isWrite: boolean;
  readonly down: number;
  received: number;
  ungranted: number;
  granted: number;
  window: number;
  sum: number;
  left: Buffer | undefined;
}

/** What nodes tell. */
export interface NodeWatch {
  wrong(what: string): void;
  /** A call has come in whole, and runs. */
  ran(number: number): void;
}

/** A checksum that changes when bytes are lost, doubled or in another order. */
export function summed(sum: number, bytes: Uint8Array): number {
  let next = sum;
  for (const byte of bytes) next = (Math.imul(next, 31) + byte) | 0;
  return next;
}

/** One connection of a node that keeps every rule, checks the gateway's windows, and answers with what it has received. */
export class SpreadNode {
  readonly #socket: Socket;
  readonly #script: NodeScript;
  readonly #watch: NodeWatch;
  readonly #decoder = new HpackDecoder({ maxHeaderBytes: 1_048_576, maxHeaders: 4000 });
  readonly #calls = new Map<number, Call>();
  /** What the gateway knows of the initial window: it follows the setting from its acknowledgement on. */
  #known = INITIAL_WINDOW;
  #connectionGranted: number;
  #ungranted = 0;
  #window = INITIAL_WINDOW;
  #initial = INITIAL_WINDOW;
  #heads = 0;
  #last = Number.POSITIVE_INFINITY;
  #acknowledged = false;

  constructor(socket: Socket, script: NodeScript, watch: NodeWatch) {
    this.#socket = socket;
    this.#script = script;
    this.#watch = watch;
    socket.setNoDelay(true);
    this.#connectionGranted = Math.max(INITIAL_WINDOW, script.connection);
    const streams = script.mostStreams > 0 ? ([[SettingId.MAX_CONCURRENT_STREAMS, script.mostStreams]] as const) : [];
    socket.write(writeSettings([[SettingId.INITIAL_WINDOW_SIZE, script.initial], ...streams]));
    if (script.connection > INITIAL_WINDOW) socket.write(writeWindowUpdate(0, script.connection - INITIAL_WINDOW));
    const reader = new FrameReader(16_384, true);
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk, (frame) => {
          if (!socket.destroyed) this.#take(frame);
        });
      } catch (error) {
        watch.wrong(String(error));
        socket.destroy();
      }
    });
  }

  #take(frame: Frame): void {
    checkFrame(frame);
    const { type, streamId } = frame;
    if (type === FrameType.HEADERS) this.#head(frame);
    else if (type === FrameType.DATA) this.#data(frame);
    else if (type === FrameType.RST_STREAM) this.#calls.delete(streamId);
    else if (type === FrameType.SETTINGS) this.#settings(frame);
    else if (type === FrameType.WINDOW_UPDATE) this.#grant(streamId, windowIncrementOf(frame));
    else throw new Error(`a frame of type ${type}`);
  }

  #head(frame: Frame): void {
    const { streamId } = frame;
    const fields = new Map<string, string>();
    this.#decoder.decode(headerFragmentOf(frame), (name, value) => fields.set(name, value));
    this.#heads += 1;
    const { faultAt, fault, mostStreams } = this.#script;
    if (this.#acknowledged && mostStreams > 0 && this.#calls.size >= mostStreams) throw new Error('too many streams');
    const isAt = faultAt > 0 && this.#heads === faultAt;
    if (isAt && fault === 'lost') {
      this.#socket.resetAndDestroy();
      return;
    }
    if (isAt && fault === 'refuse') {
      this.#socket.write(writeRstStream(streamId, ErrorCode.REFUSED_STREAM));
      return;
    }
    if (isAt && fault === 'goaway') {
      this.#last = streamId - 2;
      this.#socket.write(writeGoaway(Math.max(0, this.#last), ErrorCode.NO_ERROR));
    }
    if (streamId > this.#last) return;
    this.#calls.set(streamId, {
      number: Number(fields.get('x-call')),
      isWrite: fields.get(':path')?.includes('Upsert') === true,
      down: Number(fields.get('x-down')),
      ...{ received: 0, ungranted: 0, granted: this.#known, window: this.#initial, sum: 0 },
      left: undefined,
    });
  }

  #data(frame: Frame): void {
    const { length, streamId } = frame;
    this.#connectionGranted -= length;
    if (this.#connectionGranted < 0) throw new Error('the connection window of a node is overdrawn');
    this.#ungranted += length;
    const { grantEvery } = this.#script;
    if (this.#ungranted >= grantEvery) {
      this.#socket.write(writeWindowUpdate(0, this.#ungranted));
      this.#connectionGranted += this.#ungranted;
      this.#ungranted = 0;
    }
    const call = this.#calls.get(streamId);
    if (!call) return;
    const data = dataOf(frame);
    call.granted -= length;
    if (call.granted < 0 && length > 0) throw new Error('the window of a stream is overdrawn');
    call.received += data.length;
    call.sum = summed(call.sum, data);
    call.ungranted += length;
    if (frame.has(Flag.END_STREAM)) {
      this.#watch.ran(call.number);
      this.#answer(streamId, call);
    } else if (call.ungranted >= Math.min(grantEvery, Math.max(1, this.#script.initial >> 1))) {
      this.#socket.write(writeWindowUpdate(streamId, call.ungranted));
      call.granted += call.ungranted;
      call.ungranted = 0;
    }
  }

  #answer(id: number, call: Call): void {
    this.#socket.write(writeHeaders(id, encodeHeaders([[':status', '200']]), false));
    call.left = framed(Buffer.alloc(call.down, call.number));
    this.#pump(id, call);
  }

  #pump(id: number, call: Call): void {
    if (!call.left) return;
    while (call.left.length > 0) {
      const size = Math.min(16_384, this.#window, call.window, call.left.length);
      if (size <= 0) return;
      this.#window -= size;
      call.window -= size;
      this.#socket.write(writeData(id, call.left.subarray(0, size), false));
      call.left = call.left.subarray(size);
    }
    this.#calls.delete(id);
    const trailers = encodeHeaders([
      ['grpc-status', '0'],
      ['x-received', `${call.received} ${call.sum}`],
    ]);
    this.#socket.write(writeHeaders(id, trailers, true));
  }

  #grant(id: number, increment: number): void {
    const call = this.#calls.get(id);
    if (id === 0) this.#window += increment;
    else if (call) call.window += increment;
    this.#pumpAll();
  }

  #pumpAll(): void {
    for (const [id, call] of [...this.#calls]) this.#pump(id, call);
  }

  #settings(frame: Frame): void {
    if (frame.has(Flag.ACK)) {
      if (this.#acknowledged) return;
      this.#acknowledged = true;
      for (const call of this.#calls.values()) call.granted += this.#script.initial - this.#known;
      this.#known = this.#script.initial;
      return;
    }
    for (const [id, value] of parseSettings(frame.payload, 'client')) {
      if (id !== SettingId.INITIAL_WINDOW_SIZE) continue;
      for (const call of this.#calls.values()) call.window += value - this.#initial;
      this.#initial = value;
    }
    this.#socket.write(writeSettingsAck());
    this.#pumpAll();
  }
}
