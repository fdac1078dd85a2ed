/** The reason why bytes are not acceptable JSON. */
export type JsonFaultReason =
  /** Violates the grammar of RFC 8259. */
  | 'syntax'
  /** Nested deeper than the reader's limit. */
  | 'depth'
  /** A string that is not UTF-8. */
  | 'utf8'
  /** An escaped surrogate without its partner. */
  | 'surrogate';

/** The bytes are not acceptable JSON. The message names the fault, and nothing of the input. */
export class JsonFault extends Error {
  override readonly name = 'JsonFault';
  readonly reason: JsonFaultReason;
  /** Offset of the fault, in bytes. */
  readonly offset: number;

  constructor(reason: JsonFaultReason, message: string, offset: number) {
    super(message);
    this.reason = reason;
    this.offset = offset;
  }
}
