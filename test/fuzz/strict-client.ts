import type { Socket } from 'node:net';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import {
  CLIENT_PREFACE,
  checkFrame,
  dataBytesOf,
  dataOf,
  Flag,
  type Frame,
  FrameType,
  headerFragmentOf,
  MAX_WINDOW,
  parseSettings,
  readUint31,
  resetCodeOf,
  type Setting,
  SettingId,
  windowIncrementOf,
} from '../../src/http2/frames.ts';
import { DEFAULT_TABLE_BYTES, encodeHeaders, HpackDecoder } from '../../src/http2/hpack.ts';
import { writeData, writeHeaders, writeSettings, writeSettingsAck } from '../../src/http2/write-frames.ts';
import { framed } from '../support/clients/h2-client.ts';

const INITIAL_WINDOW = 65_535;
/** May be said of a stream that was reset: credit, and that it is closed, of frames that came later. */
const REPEATABLE: readonly number[] = [FrameType.WINDOW_UPDATE, FrameType.RST_STREAM];

/** Is told what both sides say, once it has been found to be in order. What it throws is a finding. */
export interface ClientWatch {
  /** A header block of the gateway's. */
  head(id: number, fields: readonly (readonly [string, string])[], ends: boolean): void;
  data(id: number, bytes: Buffer, ends: boolean): void;
  reset(id: number, code: number): void;
  /** Credit for the client; stream 0 is the connection. */
  granted(id: number, increment: number): void;
  /** What the gateway grants a stream from the beginning. */
  initial(bytes: number): void;
  /** A frame of the client's own. */
  said(frame: Frame): void;
}

/**
 * The client's end of a connection, which looks at everything the gateway says: frames, header blocks with the table it has
 * announced, windows it has granted, streams it has opened. What it says itself it follows, too, so that it knows.
 */
export class StrictClient {
  readonly socket: Socket;
  /** What is wrong with what the gateway has said. */
  wrong: string | undefined;
  /** The connection has ended. */
  over = false;
  /** Error code of a GOAWAY. */
  goaway: number | undefined;
  /** The last stream that a GOAWAY leaves to the client. */
  lastTaken = MAX_WINDOW;
  /** Streams that the gateway has ended or reset. */
  readonly ended = new Set<number>();
  pongs = 0;
  /** Acknowledges settings and pings. */
  polite = true;
  readonly #decoder = new HpackDecoder({ maxHeaderBytes: 1_048_576, maxHeaders: 4000 });
  readonly #statuses = new Map<number, string>();
  readonly #reset = new Set<number>();
  readonly #windows = new Map<number, number>();
  /** What the gateway has not acknowledged, one entry for each SETTINGS: table sizes, and what streams begin with after it. */
  readonly #unacknowledged: { readonly tables: readonly number[]; readonly initial: number }[] = [];
  #window = INITIAL_WINDOW;
  /** What streams begin with by the settings last sent, and last acknowledged. */
  #initial = INITIAL_WINDOW;
  #acknowledged = INITIAL_WINDOW;
  #highest = 0;
  #block: Buffer[] = [];
  #blockStream = 0;
  #blockEnds = false;
  /** Streams whose answer has its head. */
  readonly #answered = new Set<number>();
  /** Follows its own frames. */
  readonly #own = new FrameReader(16_777_215, true);
  #ownLost = false;
  readonly #watch: ClientWatch | undefined;
  #betweenFrames = true;
  /** The last frames: type, flags, stream. */
  readonly #seen: string[] = [];
  #answers: Buffer[] = [];

  /** @param watch where informational answers are in order, too */
  constructor(socket: Socket, watch?: ClientWatch) {
    this.#watch = watch;
    this.socket = socket;
    socket.setNoDelay(true);
    const reader = new FrameReader(16_384);
    socket.on('data', (chunk: Buffer) => {
      if (this.wrong !== undefined) return;
      try {
        reader.push(chunk, (frame) => this.#see(frame));
      } catch (error) {
        this.wrong = `${String(error)}; seen: ${this.#seen.join(' ')}`;
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.over = true;
    });
    socket.on('end', () => {
      this.over = true;
    });
  }

  /** Preface and settings; default: none. */
  open(settings: readonly Setting[] = []): void {
    this.send(Buffer.concat([CLIENT_PREFACE, writeSettings(settings)]));
  }

  send(bytes: Buffer): void {
    if (!this.#ownLost) {
      try {
        // In pieces of a copy: the gateway's end may have the same memory.
        this.#own.push(Buffer.from(bytes), (frame) => this.#said(frame));
      } catch {
        this.#ownLost = true;
      }
    }
    if (!this.socket.destroyed && this.socket.writable) this.socket.write(bytes);
  }

  call(id: number, path: string, key: string, message: Buffer): void {
    const head = encodeHeaders([
      ...([
        [':method', 'POST'],
        [':scheme', 'http'],
        [':path', path],
        [':authority', 'a'],
      ] as const),
      ...([
        ['content-type', 'application/grpc'],
        ['te', 'trailers'],
        ['api-key', key],
      ] as const),
    ]);
    this.send(Buffer.concat([writeHeaders(id, head, false), writeData(id, framed(message), true)]));
  }

  /** Bytes of DATA that the client takes on all streams. */
  get window(): number {
    return this.#window;
  }

  /** What it says cannot be followed as frames any more. */
  get isLost(): boolean {
    return this.#ownLost;
  }

  /** `grpc-status` of a stream, `reset`, or `undefined`. */
  statusOf(id: number): string | undefined {
    return this.#statuses.get(id);
  }

  /** What the client says of itself: settings, windows, streams. */
  #said(frame: Frame): void {
    const { type, streamId } = frame;
    if (type === FrameType.HEADERS && streamId % 2 === 1) this.#highest = Math.max(this.#highest, streamId);
    if (type === FrameType.SETTINGS && !frame.has(Flag.ACK)) {
      const settings = parseSettings(frame.payload, 'client');
      const tables = settings.filter(([id]) => id === SettingId.HEADER_TABLE_SIZE).map(([, value]) => value);
      for (const [id, value] of settings) if (id === SettingId.INITIAL_WINDOW_SIZE) this.#initial = value;
      this.#unacknowledged.push({ tables, initial: this.#initial });
    }
    this.#watch?.said(frame);
    if (type === FrameType.WINDOW_UPDATE && frame.length === 4) {
      const increment = frame.payload.readUInt32BE(0) & MAX_WINDOW;
      if (streamId === 0) this.#window += increment;
      else this.#windows.set(streamId, (this.#windows.get(streamId) ?? 0) + increment);
    }
  }

  #see(frame: Frame): void {
    checkFrame(frame);
    const { type, streamId } = frame;
    this.#seen.push(`${type}/${frame.flags}/${streamId}`);
    if (this.#seen.length > 40) this.#seen.shift();
    if (this.#blockStream !== 0 && type !== FrameType.CONTINUATION) throw new Error('header block interrupted');
    if (streamId !== 0 && type !== FrameType.PRIORITY) this.#checkStream(frame);
    switch (type) {
      case FrameType.HEADERS:
        this.#blockStream = streamId;
        this.#blockEnds = frame.has(Flag.END_STREAM);
        this.#gather(frame, headerFragmentOf(frame));
        break;
      case FrameType.CONTINUATION:
        if (streamId !== this.#blockStream) throw new Error('continuation of another stream');
        this.#gather(frame, frame.payload);
        break;
      case FrameType.DATA:
        this.#data(frame);
        break;
      case FrameType.RST_STREAM:
        this.#reset.add(streamId);
        if (!this.#statuses.has(streamId)) this.#statuses.set(streamId, 'reset');
        this.ended.add(streamId);
        this.#watch?.reset(streamId, resetCodeOf(frame));
        break;
      case FrameType.SETTINGS:
        this.#settings(frame);
        break;
      case FrameType.PING:
        if (frame.has(Flag.ACK)) this.pongs += 1;
        else if (this.polite) this.#answer(Buffer.concat([Buffer.from([0, 0, 8, 6, 1, 0, 0, 0, 0]), frame.payload]));
        break;
      case FrameType.GOAWAY:
        this.goaway = frame.payload.readUInt32BE(4);
        this.lastTaken = readUint31(frame.payload, 0);
        break;
      case FrameType.WINDOW_UPDATE:
        this.#granted(streamId, windowIncrementOf(frame));
        break;
      default:
        throw new Error(`a frame of type ${type}`);
    }
  }

  #checkStream({ streamId, type }: Frame): void {
    if (streamId > this.#highest && !this.#ownLost) throw new Error(`stream ${streamId} was never opened`);
    if (this.#reset.has(streamId) && !REPEATABLE.includes(type)) {
      throw new Error(`frame of type ${type} on stream ${streamId}, which was reset`);
    }
    const ends = type === FrameType.DATA || type === FrameType.HEADERS;
    if (ends && this.ended.has(streamId)) throw new Error(`stream ${streamId} goes on after its end`);
  }

  #gather(frame: Frame, fragment: Buffer): void {
    this.#block.push(fragment);
    if (!frame.has(Flag.END_HEADERS)) return;
    const id = this.#blockStream;
    const block = Buffer.concat(this.#block);
    this.#block = [];
    this.#blockStream = 0;
    const fields: (readonly [string, string])[] = [];
    this.#decoder.decode(block, (name, value) => {
      fields.push([name, value]);
      if (name === 'grpc-status') this.#statuses.set(id, value);
    });
    if (!this.#isInformational(id, fields)) this.#checkFields(id, fields);
    if (this.#blockEnds) this.ended.add(id);
    this.#watch?.head(id, fields, this.#blockEnds);
  }

  #isInformational(id: number, fields: readonly (readonly [string, string])[]): boolean {
    if (!this.#watch || this.#answered.has(id) || this.#blockEnds) return false;
    return fields[0]?.[0] === ':status' && /^1\d\d$/.test(fields[0][1]);
  }

  /** RFC 9113 sections 8.1 to 8.3: no intermediary forwards what is malformed. */
  #checkFields(id: number, fields: readonly (readonly [string, string])[]): void {
    const isHead = !this.#answered.has(id);
    this.#answered.add(id);
    const wrong = (what: string): Error => new Error(`malformed ${isHead ? 'head' : 'trailers'} on ${id}: ${what}`);
    if (isHead && !/^[2-5]\d\d$/.test(fields[0]?.[0] === ':status' ? fields[0][1] : '')) throw wrong('no status');
    if (!isHead && !this.#blockEnds) throw wrong('no end');
    for (const [name, value] of isHead ? fields.slice(1) : fields) {
      if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) throw wrong(JSON.stringify(name));
      if (/^(connection|keep-alive|proxy-connection|transfer-encoding|upgrade)$/.test(name)) throw wrong(name);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for
      if (/[\0-\x08\n-\x1f\x7f]/.test(value)) throw wrong(`the value of ${name}`);
    }
  }

  #data(frame: Frame): void {
    const { streamId, length } = frame;
    dataBytesOf(frame);
    this.#window -= length;
    if (this.#window < 0 && !this.#ownLost) throw new Error('the connection window is overdrawn');
    const left = (this.#windows.get(streamId) ?? 0) - length;
    this.#windows.set(streamId, left);
    // RFC 9113 section 6.9.3: a smaller window holds when it has been acknowledged.
    const initial = Math.max(this.#acknowledged, ...this.#unacknowledged.map((settings) => settings.initial));
    if (length > 0 && !this.#ownLost && initial + left < 0) {
      throw new Error(`the window of stream ${streamId} is overdrawn`);
    }
    if (frame.has(Flag.END_STREAM)) this.ended.add(streamId);
    this.#watch?.data(streamId, dataOf(frame), frame.has(Flag.END_STREAM));
  }

  #granted(streamId: number, increment: number): void {
    this.#watch?.granted(streamId, increment);
  }

  #settings(frame: Frame): void {
    if (!frame.has(Flag.ACK)) {
      for (const [id, value] of parseSettings(frame.payload, 'server')) {
        if (id === SettingId.INITIAL_WINDOW_SIZE) this.#watch?.initial(value);
      }
      if (this.polite) this.#answer(writeSettingsAck());
      return;
    }
    const settings = this.#unacknowledged.shift();
    if (settings === undefined && !this.#ownLost) throw new Error('settings were acknowledged that were not sent');
    this.#acknowledged = settings?.initial ?? this.#acknowledged;
    for (const bytes of settings?.tables ?? []) this.#decoder.setMaxTableBytes(bytes);
  }

  /** In the middle of a frame of its own it would cut that in two. */
  #answer(bytes: Buffer): void {
    if (!this.#betweenFrames) this.#answers.push(bytes);
    else this.send(bytes);
  }

  /** All that was sent are whole frames, or not. */
  get betweenFrames(): boolean {
    return this.#betweenFrames;
  }

  set betweenFrames(whole: boolean) {
    this.#betweenFrames = whole;
    if (!whole || this.#answers.length === 0) return;
    const answers = Buffer.concat(this.#answers);
    this.#answers = [];
    this.#answer(answers);
  }

  /** The table the client begins with, in bytes. */
  static readonly TABLE_BYTES = DEFAULT_TABLE_BYTES;
}
