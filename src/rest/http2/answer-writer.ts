import { ClientHeads } from '../../http2/client-heads.ts';
import type { ClientLink } from '../../http2/client-link.ts';
import { fieldFault } from '../../http2/field-syntax.ts';
import {
  DEFAULT_MAX_FRAME_SIZE,
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  FrameType,
  Http2Fault,
  MAX_WINDOW,
} from '../../http2/frames.ts';
import type { HeaderField } from '../../http2/hpack.ts';
import type { Outbox } from '../../http2/outbox.ts';
import { Pause } from '../../http2/paced-reading.ts';
import { writeFrameHeader } from '../../http2/write-frames.ts';
import type { Guard } from '../../lifetime/guard.ts';
import type { Http2Stream } from './stream.ts';

/** The window of a connection, and of its streams before SETTINGS say otherwise (RFC 9113 section 6.9.2). */
export const INITIAL_WINDOW = 65_535;
/** Bytes that one stream sends before it is the next one's turn, and that are written at once. */
const STREAM_BYTES = 65_536;
const MOST_AT_ONCE = 262_144;

/** The connection whose answers are written. */
export interface AnswersOwner {
  /** Called behind each flush. */
  flushed(): void;
}

/** Writes the answers of one connection within its client's windows, all streams in turn. */
export class AnswerWriter {
  readonly #client: ClientLink<unknown>;
  readonly #guard: Guard;
  readonly #owner: AnswersOwner;
  readonly #outbox: Outbox;
  readonly #heads: ClientHeads;
  #window = INITIAL_WINDOW;
  #initialWindow = INITIAL_WINDOW;
  /** Streams with something to send, in turn. */
  #ready: Http2Stream[] = [];
  #flushing = false;
  /** A flush has been asked for. */
  #due = false;

  /** @param guard of the connection */
  constructor(client: ClientLink<unknown>, guard: Guard, owner: AnswersOwner) {
    this.#client = client;
    this.#guard = guard;
    this.#owner = owner;
    this.#outbox = client.outbox;
    this.#heads = new ClientHeads(client.outbox);
  }

  /** The send window a stream begins with. */
  get initialWindow(): number {
    return this.#initialWindow;
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE changed (RFC 9113 section 6.9.2). Throws on overflow. */
  setInitialWindow(bytes: number, open: readonly Http2Stream[]): void {
    const change = bytes - this.#initialWindow;
    for (const stream of open) if (stream.sendWindow + change > MAX_WINDOW) throw overflow(0);
    this.#initialWindow = bytes;
    for (const stream of open) {
      stream.sendWindow += change;
      this.ready(stream);
    }
  }

  /** The client grants the connection more. Throws on overflow. */
  grant(bytes: number): void {
    if (this.#window + bytes > MAX_WINDOW) throw overflow(0);
    this.#window += bytes;
  }

  /** The client grants a stream more. Throws on overflow. */
  grantStream(stream: Http2Stream, bytes: number): void {
    if (stream.sendWindow + bytes > MAX_WINDOW) throw overflow(stream.id);
    stream.sendWindow += bytes;
    this.ready(stream);
  }

  /** The head of an answer. Throws `TypeError`, with nothing sent, when a field cannot be. */
  head(stream: Http2Stream, status: number, headers: readonly string[], ends: boolean): void {
    const fields: HeaderField[] = [[':status', String(status)]];
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const name = headers[i] ?? '';
      const value = headers[i + 1] ?? '';
      if (name === 'connection') continue;
      if (fieldFault(name, value))
        throw new TypeError(`an answer has a header that cannot be sent: ${fieldFault(name, value)}`);
      fields.push([name, value]);
    }
    this.#heads.fields(stream.id, fields, ends);
  }

  /** The same, encoded: see `ClientHeads.framed`. */
  framed(stream: Http2Stream, framed: Buffer, ends: boolean): void {
    this.#heads.framed(stream.id, framed, ends);
  }

  /** A status without a body, for a request that never became an exchange. */
  status(streamId: number, status: number, date: string): void {
    const fields: HeaderField[] = [
      [':status', String(status)],
      ['content-length', '0'],
      ['date', date],
    ];
    this.#heads.fields(streamId, fields, true);
  }

  ready(stream: Http2Stream): void {
    if (stream.listed || stream.endSent || (stream.queued === 0 && !stream.finished)) return;
    stream.listed = true;
    this.#ready.push(stream);
  }

  /** Puts as many frames in the outbox as the windows and the socket take. `true` = there is more that could be sent at once. */
  pump(): boolean {
    let room = MOST_AT_ONCE;
    // Streams that wait for the connection's window.
    const blocked: Http2Stream[] = [];
    while (room > 0 && !this.#outbox.congested) {
      const stream = this.#ready.shift();
      if (!stream) break;
      if (stream.queued > 0 && this.#window <= 0 && !stream.closed) {
        blocked.push(stream);
        continue;
      }
      stream.listed = false;
      room -= stream.closed ? 0 : this.#turn(stream);
    }
    const more = this.#ready.length > 0 && !this.#outbox.congested;
    if (blocked.length > 0) this.#ready = [...blocked, ...this.#ready];
    return more;
  }

  /** Sends the share of one stream. Returns its bytes. */
  #turn(stream: Http2Stream): number {
    const most = Math.max(0, Math.min(STREAM_BYTES, stream.sendWindow, this.#window, stream.queued));
    if (most > 0 || stream.queued === 0) this.#send(stream, most);
    if (stream.endSent) stream.answered();
    else if (stream.queued === 0) stream.drained();
    // A stream that is blocked by its own window is listed again with the next grant.
    if (stream.sendWindow > 0) this.ready(stream);
    return most;
  }

  #send(stream: Http2Stream, bytes: number): void {
    let left = bytes;
    let frames = 0;
    while (left > 0) {
      const [piece] = stream.queue;
      if (!piece) break;
      const { bytes: source, from } = piece;
      const size = Math.min(left, source.length - from, DEFAULT_MAX_FRAME_SIZE);
      left -= size;
      stream.queued -= size;
      frames += 1;
      const ends = stream.finished && stream.queued === 0;
      this.#frame(stream.id, size, ends);
      this.#outbox.range(source, from, from + size);
      piece.from += size;
      if (piece.from === source.length) {
        stream.queue.shift();
        if (piece.once) this.#outbox.free(source);
      }
      stream.endSent = ends;
    }
    stream.sendWindow -= bytes;
    this.#window -= bytes;
    if (frames > 0) this.#client.moved(bytes, frames);
    if (stream.finished && !stream.endSent && stream.queued === 0) {
      this.#frame(stream.id, 0, true);
      stream.endSent = true;
    }
  }

  /** Sends what waits once everything that is ready has run: answers that come together leave together. */
  flushSoon(): void {
    if (this.#due || this.#flushing || this.#client.inBurst) return;
    this.#due = true;
    this.#guard.soon(() => {
      this.#due = false;
      this.flush();
    });
  }

  /** Sends what waits. INVARIANT: a client that does not take what it is sent is not read. */
  flush(): void {
    if (this.#flushing || this.#client.closing || this.#client.inBurst) return;
    this.#flushing = true;
    const more = this.pump();
    this.#client.outbox.flush();
    this.#flushing = false;
    if (this.#client.outbox.congested) this.#client.reading.pause(Pause.OWN);
    else this.#client.reading.resume(Pause.OWN);
    if (more) this.flushSoon();
    this.#owner.flushed();
  }

  #frame(streamId: number, size: number, ends: boolean): void {
    const head = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
    writeFrameHeader(head, 0, size, FrameType.DATA, ends ? Flag.END_STREAM : 0, streamId);
    this.#outbox.bytes(head);
  }
}

/** @param faultOn the stream whose fault it is; 0 = the connection */
function overflow(faultOn: number): Http2Fault {
  return new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, faultOn, 'window overflow');
}
