import { DEFAULT_MAX_FRAME_SIZE, FRAME_HEADER_BYTES } from './frames.ts';
import { encodeHeaders, encodeTableSizeUpdate, type HeaderField } from './hpack.ts';
import type { Outbox } from './outbox.ts';
import { frameHeaders, writeHeaders } from './write-frames.ts';

const NO_TABLE = encodeTableSizeUpdate(0);

/**
 * The only writer of header blocks on a client connection: upstream's answers and the gateway's own.
 *
 * INVARIANT: the client's decoder never holds a table. The first block of the connection begins with a size update to 0, and
 * none after it inserts or refers to a dynamic entry. 0 is below every HEADER_TABLE_SIZE the client may ever announce, so no
 * change of it, and no order of changes, asks for another update (RFC 7541 section 4.2: the smallest, then the last; both
 * are 0).
 */
export class ClientHeads {
  readonly #outbox: Outbox;
  #begun = false;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Sends fields of the gateway's own. */
  fields(streamId: number, fields: readonly HeaderField[], endStream: boolean): void {
    const framed = encodeHeaders(fields, FRAME_HEADER_BYTES);
    if (this.#begun) this.#outbox.bytes(frameHeaders(framed, streamId, endStream));
    else this.framed(streamId, framed, endStream);
  }

  /**
   * Sends an encoded HEADERS frame without a dynamic table (see `AnswerBlock`) on another stream. `framed` is not
   * changed.
   */
  framed(streamId: number, framed: Buffer, endStream: boolean): void {
    if (!this.#begun) {
      this.#begun = true;
      const block = Buffer.concat([NO_TABLE, framed.subarray(FRAME_HEADER_BYTES)]);
      this.#outbox.bytes(writeHeaders(streamId, block, endStream));
    } else if (framed.length <= FRAME_HEADER_BYTES + DEFAULT_MAX_FRAME_SIZE) {
      this.#outbox.headersLike(framed, streamId, endStream);
    } else {
      this.#outbox.bytes(frameHeaders(framed, streamId, endStream));
    }
  }
}
