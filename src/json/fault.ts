/** Why bytes are no acceptable JSON. */
export type JsonFaultReason =
  /** Not the grammar of RFC 8259. */
  | 'syntax'
  /** More nested objects and arrays than the reader was told to bear. */
  | 'depth'
  /** A string that is not UTF-8. */
  | 'utf8'
  /** A string with an escaped surrogate that has no partner. */
  | 'surrogate';

/** The bytes are no acceptable JSON. The message names what was wrong, never what was read. */
export class JsonFault extends Error {
  override readonly name = 'JsonFault';
  readonly reason: JsonFaultReason;
  /** Where reading stopped: bytes from the start. */
  readonly offset: number;

  constructor(reason: JsonFaultReason, message: string, offset: number) {
    super(message);
    this.reason = reason;
    this.offset = offset;
  }
}
