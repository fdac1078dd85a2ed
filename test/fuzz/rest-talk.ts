import { dataOf, Flag, type Frame, FrameType, headerFragmentOf } from '../../src/http2/frames.ts';
import { HpackDecoder } from '../../src/http2/hpack.ts';
import { writeData } from '../../src/http2/write-frames.ts';
import type { Upload } from './frame-scripts.ts';
import type { ClientWatch, StrictClient } from './strict-client.ts';

/** A request as the client has said it so far. */
export interface Asked {
  readonly id: number;
  readonly fields: ReadonlyMap<string, string>;
  readonly body: Buffer[];
  /** The client has ended it in order. */
  ended: boolean;
  /** The client has given it up. */
  reset: boolean;
  /** Frames of it came behind its end. */
  overrun: boolean;
}

/** An answer as the client has seen it so far. */
export interface Answered {
  status: number;
  fields: ReadonlyMap<string, string>;
  readonly body: Buffer[];
  end: 'open' | 'whole' | 'reset';
  /** Error code of the reset. */
  code: number | undefined;
}

/** What both sides begin with. */
export const INITIAL_WINDOW = 65_535;

/** What client and gateway have said to each other: the requests, the answers, and the credit of what the client sends. */
export class RestTalk implements ClientWatch {
  readonly asked = new Map<number, Asked>();
  readonly answers = new Map<number, Answered>();
  /** Bytes of DATA that the client has sent, padding included, and that it was granted. */
  #sent = 0;
  #granted = 0;
  #initial = INITIAL_WINDOW;
  readonly #sentOn = new Map<number, number>();
  readonly #grantedOn = new Map<number, number>();
  readonly #decoder = new HpackDecoder({ maxHeaderBytes: 65_536, maxHeaders: 4000 });
  #block: Buffer[] = [];
  #blockEnds = false;
  #uploads: { readonly id: number; readonly frame: number; left: number }[] = [];

  /** Bytes that the client may send on all streams. */
  get credit(): number {
    return INITIAL_WINDOW + this.#granted - this.#sent;
  }

  get highest(): number {
    return Math.max(-1, ...this.asked.keys());
  }

  /** The request of this `x-id`. */
  named(name: string): Asked | undefined {
    for (const one of this.asked.values()) if (one.fields.get('x-id') === name) return one;
    return undefined;
  }

  /** The state of the uploads, for a finding. */
  get uploads(): string {
    const of = ({ id, left }: { readonly id: number; readonly left: number }): string =>
      `${id}: ${left} left, ${this.#initial + (this.#grantedOn.get(id) ?? 0) - (this.#sentOn.get(id) ?? 0)} granted`;
    return `${this.#uploads.map(of).join(', ')}, ${this.credit} on the connection`;
  }

  isUploading(id: number): boolean {
    return this.#uploads.some((upload) => upload.id === id);
  }

  upload({ upload, bytes, frame }: Upload): void {
    this.#uploads.push({ id: upload, frame, left: bytes });
  }

  /** Sends of the uploads what the windows allow. */
  pump(client: StrictClient): void {
    if (!client.betweenFrames) return;
    for (const upload of this.#uploads) {
      const { id } = upload;
      const isOver = this.answers.get(id)?.code !== undefined || this.asked.get(id)?.reset;
      if (isOver || !this.asked.has(id)) upload.left = -1;
      while (upload.left > 0) {
        const own = this.#initial + (this.#grantedOn.get(id) ?? 0) - (this.#sentOn.get(id) ?? 0);
        const size = Math.min(upload.left, upload.frame, own, this.credit);
        if (size <= 0) break;
        upload.left -= size;
        client.send(writeData(id, Buffer.alloc(size, ' '), upload.left === 0));
      }
    }
    this.#uploads = this.#uploads.filter(({ left }) => left > 0);
  }

  head(id: number, fields: readonly (readonly [string, string])[], ends: boolean): void {
    const status = Number(fields[0]?.[1]);
    if (status >= 100 && status < 200) return;
    const before = this.answers.get(id);
    if (before) throw new Error(`stream ${id} has trailers, and no answer of upstream's has any`);
    this.answers.set(id, { status, fields: new Map(fields), body: [], end: ends ? 'whole' : 'open', code: undefined });
  }

  data(id: number, bytes: Buffer, ends: boolean): void {
    const answer = this.answers.get(id);
    if (!answer) throw new Error(`stream ${id} has data before its head`);
    // A copy, so that the memory of the whole read is not kept.
    answer.body.push(Buffer.from(bytes));
    if (ends) answer.end = 'whole';
  }

  reset(id: number, code: number): void {
    const answer = this.answers.get(id) ?? { status: 0, fields: new Map(), body: [], end: 'open' as const, code };
    if (answer.end === 'open') answer.end = 'reset';
    answer.code ??= code;
    this.answers.set(id, answer);
  }

  granted(id: number, increment: number): void {
    if (id === 0) this.#granted += increment;
    else this.#grantedOn.set(id, (this.#grantedOn.get(id) ?? 0) + increment);
  }

  initial(bytes: number): void {
    this.#initial = bytes;
  }

  said(frame: Frame): void {
    const { streamId: id, type } = frame;
    const asked = this.asked.get(id);
    switch (type) {
      case FrameType.HEADERS:
        this.#blockEnds = frame.has(Flag.END_STREAM);
        this.#gather(frame, headerFragmentOf(frame));
        break;
      case FrameType.CONTINUATION:
        this.#gather(frame, frame.payload);
        break;
      case FrameType.DATA:
        this.#sent += frame.length;
        this.#sentOn.set(id, (this.#sentOn.get(id) ?? 0) + frame.length);
        if (!asked || asked.ended || asked.reset) {
          if (asked) asked.overrun = true;
          break;
        }
        asked.body.push(Buffer.from(dataOf(frame)));
        asked.ended = frame.has(Flag.END_STREAM);
        break;
      case FrameType.RST_STREAM:
        if (asked) asked.reset = true;
        break;
    }
  }

  #gather(frame: Frame, fragment: Buffer): void {
    this.#block.push(Buffer.from(fragment));
    if (!frame.has(Flag.END_HEADERS)) return;
    const block = Buffer.concat(this.#block);
    this.#block = [];
    const fields = new Map<string, string>();
    this.#decoder.decode(block, (name, value) => fields.set(name, value));
    const { streamId: id } = frame;
    const asked = this.asked.get(id);
    if (!asked) {
      if (id > this.highest)
        this.asked.set(id, { id, fields, body: [], ended: this.#blockEnds, reset: false, overrun: false });
    } else if (this.#blockEnds && !asked.reset && !asked.ended) asked.ended = true;
    else asked.overrun = true;
  }
}
