import type { TLSSocket } from 'node:tls';
import { FrameReader } from '../../../src/http2/frame-reader.ts';
import {
  CLIENT_PREFACE,
  dataOf,
  Flag,
  type Frame,
  FrameType,
  goawayOf,
  headerFragmentOf,
  parseSettings,
  SettingId,
  windowIncrementOf,
} from '../../../src/http2/frames.ts';
import { DEFAULT_TABLE_BYTES, HpackDecoder } from '../../../src/http2/hpack.ts';
import {
  writeData,
  writeHeaders,
  writePing,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../../src/http2/write-frames.ts';
import { type Clients, clientsOn, openConnections, type Slot, type Target, Told } from './clients.ts';
import { type HeaderBlocks, indexingBlocks } from './header-blocks.ts';

const LARGE_WINDOW = 0x3fff_ffff;
const CREDIT_STEP = 0x0fff_ffff;
const FIRST_WINDOW = 65_535;
const LIMITS = { maxHeaderBytes: 65_536, maxHeaders: 100 };
/** Up to this much is copied into one write. */
const JOINED_BYTES = 65_536;

/** What is called, over and over. `answerBytes` are those of the answer's message. */
export type Call = { readonly path: string; readonly message: Buffer; readonly answerBytes: number };

/** One request at a time. */
class Http2Slot implements Slot {
  readonly #owner: Http2Connection;
  readonly #body: Buffer;
  #streamId = 0;
  #at = 0;
  window = 0;
  httpStatus = '';
  grpcStatus = '';
  received = 0;

  constructor(owner: Http2Connection, body: Buffer) {
    this.#owner = owner;
    this.#body = body;
  }

  send(): void {
    this.#owner.call(this);
  }

  begin(streamId: number, window: number): void {
    this.#streamId = streamId;
    this.#at = 0;
    this.window = window;
    this.httpStatus = '';
    this.grpcStatus = '';
    this.received = 0;
  }

  get sent(): boolean {
    return this.#at === this.#body.length;
  }

  /** As much of the message as both windows take, as DATA frames; null when that is nothing. */
  take(credit: number): { readonly frames: Buffer; readonly bytes: number } | null {
    const bytes = Math.min(credit, this.window, this.#body.length - this.#at);
    if (bytes <= 0) return null;
    const part = this.#body.subarray(this.#at, this.#at + bytes);
    this.#at += bytes;
    this.window -= bytes;
    return { frames: writeData(this.#streamId, part, this.sent), bytes };
  }
}

/** One HTTP/2 connection. */
class Http2Connection {
  readonly #socket: TLSSocket;
  readonly #blocks: HeaderBlocks;
  readonly #isRight: (slot: Http2Slot) => boolean;
  readonly #told: Told;
  readonly #reader = new FrameReader();
  readonly #decoder = new HpackDecoder(LIMITS);
  readonly #open = new Map<number, Http2Slot>();
  readonly #sending = new Set<Http2Slot>();
  #waiting: Http2Slot[] = [];
  #nextStream = 1;
  #credit = FIRST_WINDOW;
  #firstWindow = FIRST_WINDOW;
  #received = 0;
  #ready = false;
  #reading = false;

  constructor(socket: TLSSocket, blocks: HeaderBlocks, isRight: (slot: Http2Slot) => boolean, told: Told) {
    this.#socket = socket;
    this.#blocks = blocks;
    this.#isRight = isRight;
    this.#told = told;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    const settings = writeSettings([
      [SettingId.ENABLE_PUSH, 0],
      [SettingId.INITIAL_WINDOW_SIZE, LARGE_WINDOW],
    ]);
    socket.write(Buffer.concat([CLIENT_PREFACE, settings, writeWindowUpdate(0, LARGE_WINDOW)]));
  }

  call(slot: Http2Slot): void {
    this.#waiting.push(slot);
    // Calls that follow from one chunk of answers go out in one write.
    if (!this.#reading) this.#pump();
  }

  #read(chunk: Buffer): void {
    this.#reading = true;
    try {
      this.#reader.push(chunk, this.#onFrame);
      this.#pump();
    } catch (error) {
      this.#told.events.lost(error instanceof Error ? error.message : 'unknown error');
      this.#socket.destroy();
    }
    this.#reading = false;
  }

  readonly #onFrame = (frame: Frame): void => {
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
        this.#takeCredit(frame);
        break;
      case FrameType.PING:
        if (!frame.has(Flag.ACK)) this.#socket.write(writePing(frame.payload, true));
        break;
      case FrameType.RST_STREAM:
        this.#settle(frame.streamId, 'a stream was reset');
        break;
      case FrameType.GOAWAY:
        throw new Error(`sent away: \`${frame.payload.toString('latin1', 8)}\`, code ${goawayOf(frame).code}`);
      case FrameType.CONTINUATION:
        throw new Error('unexpected CONTINUATION');
    }
  };

  #takeCredit(frame: Frame): void {
    const slot = this.#open.get(frame.streamId);
    if (frame.streamId === 0) this.#credit += windowIncrementOf(frame);
    else if (slot !== undefined) slot.window += windowIncrementOf(frame);
  }

  #takeSettings(frame: Frame): void {
    if (frame.has(Flag.ACK)) return;
    for (const [id, value] of parseSettings(frame.payload, 'server')) {
      // The prepared header blocks rely on it.
      if (id === SettingId.HEADER_TABLE_SIZE && value < DEFAULT_TABLE_BYTES) throw new Error('header table too small');
      if (id !== SettingId.INITIAL_WINDOW_SIZE) continue;
      for (const slot of this.#open.values()) slot.window += value - this.#firstWindow;
      this.#firstWindow = value;
    }
    this.#socket.write(writeSettingsAck());
    this.#ready = true;
  }

  #takeHeaders(frame: Frame): void {
    if (!frame.has(Flag.END_HEADERS)) throw new Error('unexpected CONTINUATION');
    const slot = this.#open.get(frame.streamId);
    this.#decoder.decode(headerFragmentOf(frame), (name, value) => {
      if (slot === undefined) return;
      if (name === ':status') slot.httpStatus = value;
      else if (name === 'grpc-status') slot.grpcStatus = value;
    });
    if (frame.has(Flag.END_STREAM)) this.#finish(frame.streamId, slot);
  }

  #takeData(frame: Frame): void {
    const slot = this.#open.get(frame.streamId);
    if (slot !== undefined) slot.received += dataOf(frame).length;
    this.#received += frame.length;
    if (this.#received >= CREDIT_STEP) {
      this.#socket.write(writeWindowUpdate(0, this.#received));
      this.#received = 0;
    }
    if (frame.has(Flag.END_STREAM)) this.#finish(frame.streamId, slot);
  }

  #finish(streamId: number, slot: Http2Slot | undefined): void {
    if (slot === undefined) return;
    const { httpStatus, grpcStatus, received } = slot;
    const right = httpStatus === '200' && slot.sent && this.#isRight(slot);
    this.#settle(streamId, right ? null : `answer \`${httpStatus}\`, grpc-status \`${grpcStatus}\`, ${received} bytes`);
  }

  #settle(streamId: number, fault: string | null): void {
    const slot = this.#open.get(streamId);
    if (slot === undefined) return;
    this.#open.delete(streamId);
    this.#sending.delete(slot);
    this.#told.events.answered(slot, fault);
  }

  /** Begins the calls that wait and sends what the windows take. */
  #pump(): void {
    if (!this.#ready || (this.#waiting.length === 0 && this.#sending.size === 0)) return;
    const parts: Buffer[] = [];
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const slot of waiting) {
      const id = this.#nextStream;
      this.#nextStream += 2;
      slot.begin(id, this.#firstWindow);
      this.#open.set(id, slot);
      if (!slot.sent) this.#sending.add(slot);
      parts.push(writeHeaders(id, id === 1 ? this.#blocks.first : this.#blocks.next, slot.sent));
    }
    for (const slot of this.#sending) {
      const taken = slot.take(this.#credit);
      if (taken === null) continue;
      this.#credit -= taken.bytes;
      parts.push(taken.frames);
      if (slot.sent) this.#sending.delete(slot);
    }
    this.#write(parts);
  }

  #write(parts: readonly Buffer[]): void {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (bytes === 0) return;
    if (bytes <= JOINED_BYTES) this.#socket.write(Buffer.concat(parts, bytes));
    else for (const part of parts) this.#socket.write(part);
  }
}

/** The request that all slots repeat. */
type Request = {
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  /** Is the answer, of status 200, as it must be? */
  readonly isRight: (slot: Http2Slot) => boolean;
};

/** Opens TLS connections with so many slots (streams open at once) each; all of them repeat one request. */
async function openHttp2Clients(
  target: Target,
  connections: number,
  streams: number,
  { fields, body, isRight }: Request,
): Promise<Clients> {
  const blocks = indexingBlocks(fields);
  const told = new Told();
  const sockets = await openConnections(target, connections, 'h2');
  return clientsOn(sockets, told, (socket) => {
    const connection = new Http2Connection(socket, blocks, isRight, told);
    return Array.from({ length: streams }, () => new Http2Slot(connection, body));
  });
}

/** Slots that repeat one unary call. */
export function openGrpcClients(
  target: Target,
  connections: number,
  streams: number,
  { path, message, answerBytes }: Call,
): Promise<Clients> {
  const framed = Buffer.concat([Buffer.alloc(5), message]);
  framed.writeUInt32BE(message.length, 1);
  return openHttp2Clients(target, connections, streams, {
    fields: [
      [':method', 'POST'],
      [':scheme', 'https'],
      [':path', path],
      [':authority', `localhost:${target.port}`],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
      ['user-agent', 'bench'],
      ['api-key', target.credential],
    ],
    body: framed,
    isRight: ({ grpcStatus, received }) => grpcStatus === '0' && received === answerBytes + 5,
  });
}

/** Slots that repeat one REST request over HTTP/2. @param line method and target @param body empty = none */
export function openRestHttp2Clients(
  target: Target,
  connections: number,
  streams: number,
  { line, body, answerBytes }: { readonly line: string; readonly body: Buffer; readonly answerBytes: number },
): Promise<Clients> {
  const [method = '', path = ''] = line.split(' ', 2);
  const length = ['content-length', String(body.length)] as const;
  return openHttp2Clients(target, connections, streams, {
    fields: [
      [':method', method],
      [':scheme', 'https'],
      [':path', path],
      [':authority', `localhost:${target.port}`],
      ['user-agent', 'bench'],
      ['accept', '*/*'],
      ...(body.length > 0 ? ([['content-type', 'application/json'], length] as const) : []),
      ['api-key', target.credential],
    ],
    body,
    isRight: ({ received }) => received === answerBytes,
  });
}
