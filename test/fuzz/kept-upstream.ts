import type { Socket } from 'node:net';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import {
  checkFrame,
  dataBytesOf,
  Flag,
  type Frame,
  FrameType,
  headerFragmentOf,
  MAX_WINDOW,
  parseSettings,
  type Setting,
  SettingId,
  windowIncrementOf,
} from '../../src/http2/frames.ts';
import { encodeHeaders, HpackDecoder } from '../../src/http2/hpack.ts';
import {
  writeData,
  writeHeaders,
  writePing,
  writeRstStream,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../src/http2/write-frames.ts';
import { framed } from '../support/clients/h2-client.ts';

const INITIAL_WINDOW = 65_535;

/** A mutated script may ask for any text. */
function sizeIn(text: string | undefined): number {
  const bytes = Number(text ?? 0);
  return Number.isSafeInteger(bytes) && bytes >= 0 ? Math.min(bytes, 1_048_576) : 0;
}

/** How a call says in `x-u` that it wants to be answered: the form, and the bytes of its message. */
export const ANSWERS = ['whole', 'none', 'reset', 'early', 'trailers', 'table', 'head'] as const;

interface Call {
  readonly answer: string;
  readonly bytes: number;
  window: number;
  left: Buffer | undefined;
  begun: boolean;
  ended: boolean;
  readonly fields: ReadonlyMap<string, string>;
}

/** Tells of what the gateway has done wrong, and of each call it has sent to its end, so that upstream would run it. */
export interface UpstreamWatch {
  wrong(what: string): void;
  call(fields: ReadonlyMap<string, string>): void;
}

/**
 * An upstream connection that keeps every rule, and looks whether the gateway does. Answers as `x-u` says, within the windows
 * it has been granted.
 */
export class KeptUpstream {
  readonly #socket: Socket;
  readonly #watch: UpstreamWatch;
  readonly #decoder = new HpackDecoder({ maxHeaderBytes: 1_048_576, maxHeaders: 4000 });
  readonly #calls = new Map<number, Call>();
  #initial = INITIAL_WINDOW;
  #window = INITIAL_WINDOW;
  #granted = INITIAL_WINDOW;
  #highest = 0;
  #block: Buffer[] = [];
  #blockStream = 0;
  #blockEnds = false;
  #inserted = false;

  constructor(socket: Socket, watch: UpstreamWatch, settings: readonly Setting[] = []) {
    this.#socket = socket;
    this.#watch = watch;
    const reader = new FrameReader(16_384, true);
    socket.write(writeSettings(settings));
    let lost = false;
    socket.on('data', (chunk: Buffer) => {
      if (lost) return;
      try {
        reader.push(chunk, (frame) => this.#take(frame));
      } catch (error) {
        lost = true;
        watch.wrong(String(error));
      }
    });
  }

  #take(frame: Frame): void {
    checkFrame(frame);
    const { type, streamId } = frame;
    if (this.#blockStream !== 0 && type !== FrameType.CONTINUATION) throw new Error('header block interrupted');
    if (streamId > this.#highest && type !== FrameType.HEADERS)
      throw new Error(`frame of type ${type} on an idle stream`);
    switch (type) {
      case FrameType.HEADERS:
        if (streamId <= this.#highest || streamId % 2 === 0) throw new Error(`stream ${streamId} is not new`);
        this.#highest = streamId;
        this.#blockStream = streamId;
        this.#blockEnds = frame.has(Flag.END_STREAM);
        this.#gather(frame, headerFragmentOf(frame));
        break;
      case FrameType.CONTINUATION:
        this.#gather(frame, frame.payload);
        break;
      case FrameType.DATA:
        this.#data(frame);
        break;
      case FrameType.RST_STREAM:
        this.#calls.delete(streamId);
        break;
      case FrameType.SETTINGS:
        this.#settings(frame);
        break;
      case FrameType.PING:
        if (!frame.has(Flag.ACK)) this.#socket.write(writePing(Buffer.from(frame.payload), true));
        break;
      case FrameType.WINDOW_UPDATE:
        this.#grant(streamId, windowIncrementOf(frame));
        break;
      default:
        throw new Error(`a frame of type ${type}`);
    }
  }

  #gather(frame: Frame, fragment: Buffer): void {
    this.#block.push(fragment);
    if (!frame.has(Flag.END_HEADERS)) return;
    const id = this.#blockStream;
    this.#blockStream = 0;
    const fields = new Map<string, string>();
    this.#decoder.decode(Buffer.concat(this.#block), (name, value) => fields.set(name, value));
    this.#block = [];
    if (fields.has('api-key')) throw new Error('a credential was sent on');
    const [answer = 'whole', bytes] = (fields.get('x-u') ?? '').split('-');
    const call: Call = {
      ...{ answer, fields, bytes: sizeIn(bytes), window: this.#initial },
      ...{ left: undefined, begun: false, ended: false },
    };
    this.#calls.set(id, call);
    if (this.#blockEnds) this.#end(call);
    if (this.#blockEnds || answer === 'early') this.#answer(id, call);
  }

  #data(frame: Frame): void {
    dataBytesOf(frame);
    this.#granted -= frame.length;
    if (this.#granted < 0) throw new Error('the connection window of upstream is overdrawn');
    if (frame.length > 0) {
      this.#granted += frame.length;
      this.#socket.write(writeWindowUpdate(0, frame.length));
    }
    const call = this.#calls.get(frame.streamId);
    if (!call) return;
    if (call.ended) throw new Error('data after the end');
    if (frame.length > 0) this.#socket.write(writeWindowUpdate(frame.streamId, frame.length));
    if (!frame.has(Flag.END_STREAM)) return;
    this.#end(call);
    this.#answer(frame.streamId, call);
  }

  #end(call: Call): void {
    call.ended = true;
    this.#watch.call(call.fields);
  }

  #answer(id: number, call: Call): void {
    if (call.begun) return;
    call.begun = true;
    const { answer, bytes } = call;
    if (answer === 'none') return;
    if (answer === 'reset') {
      this.#calls.delete(id);
      this.#socket.write(writeRstStream(id, 2));
      return;
    }
    if (answer === 'trailers') {
      this.#calls.delete(id);
      this.#socket.write(
        writeHeaders(
          id,
          encodeHeaders([
            [':status', '200'],
            ['grpc-status', '5'],
          ]),
          true,
        ),
      );
      return;
    }
    this.#socket.write(writeHeaders(id, this.#head(answer === 'table'), false));
    if (answer === 'head') return;
    call.left = framed(Buffer.alloc(bytes, 'b'));
    this.#pump(id, call);
  }

  /** A head; with an entry of the table, once that has been put there. */
  #head(withTable: boolean): Buffer {
    const plain = encodeHeaders([[':status', '200']]);
    if (!withTable) return plain;
    const entry = this.#inserted ? Buffer.from([0xbe]) : Buffer.from('40027878027979', 'hex');
    this.#inserted = true;
    return Buffer.concat([plain, entry]);
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
    this.#socket.write(writeHeaders(id, encodeHeaders([['grpc-status', '0']]), true));
  }

  #pumpAll(): void {
    for (const [id, call] of this.#calls) this.#pump(id, call);
  }

  #grant(id: number, increment: number): void {
    if (id === 0) {
      this.#window += increment;
      if (this.#window > MAX_WINDOW) throw new Error('the connection window for upstream overflows');
    } else {
      const call = this.#calls.get(id);
      if (call) call.window += increment;
      // What the client grants beyond a window ends the call at the gateway (RFC 9113 section 6.9.1).
      if (call && call.window > MAX_WINDOW) throw new Error('the window of a call for upstream overflows');
    }
    this.#pumpAll();
  }

  #settings(frame: Frame): void {
    if (frame.has(Flag.ACK)) return;
    for (const [id, value] of parseSettings(frame.payload, 'client')) {
      if (id === SettingId.ENABLE_PUSH || id === SettingId.MAX_HEADER_LIST_SIZE) continue;
      if (id !== SettingId.INITIAL_WINDOW_SIZE) throw new Error(`setting ${id} is not upstream's`);
      for (const call of this.#calls.values()) {
        call.window += value - this.#initial;
        if (call.window > MAX_WINDOW) throw new Error('settings overflow the window of a call for upstream');
      }
      this.#initial = value;
    }
    this.#socket.write(writeSettingsAck());
    this.#pumpAll();
  }
}
