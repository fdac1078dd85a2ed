import { ErrorCode, Http2Fault } from '../../http2/frames.ts';
import {
  ANSWER_TOO_LARGE,
  type Denial,
  GrpcCode,
  UPSTREAM_BROKEN,
  UPSTREAM_KEY_REFUSED,
  UPSTREAM_TIMEOUT,
  UPSTREAM_UNREACHABLE,
  upstreamRefused,
} from '../../policy/denial.ts';
import type { AnswerBlock } from '../headers/answer-blocks.ts';
import { type AnswerProgress, blockFault, dataFault, MOST_INTERIM } from '../headers/answer-order.ts';
import { MessageReader, type MessageSink } from '../message/message.ts';
import { overLimit, WireFault } from '../message/wire.ts';
import { decodeGrpcMessage } from '../reject.ts';

/** A message without its prefix, or a refusal: upstream's own, or the gateway's. */
export type Answer = { readonly kind: 'message'; readonly message: Buffer } | Denial;

/** Largest inflated message, in bytes: far above any list, so that a broken upstream does not fill the memory. */
const MOST_ANSWER_BYTES = 67_108_864;
const LIMITS = { compressedBytes: MOST_ANSWER_BYTES, inflatedBytes: MOST_ANSWER_BYTES };

/**
 * Reads the answer of one unary call: head, one message, trailers, or trailers only.
 *
 * ```
 * no head -> head -> trailers -> outcome
 *        \-> trailers only ----/    a fault at any step is an outcome, too
 * ```
 *
 * Faults of the connection throw `Http2Fault`; any other fault is the outcome `UPSTREAM_BROKEN`.
 */
export class UnaryAnswer implements AnswerProgress {
  readonly #later: (step: () => void) => void;
  readonly #showsOwn: boolean;
  readonly #message = new MessageBytes();
  #head: AnswerBlock | undefined;
  #reader: MessageReader | undefined;
  #interimHeads = 0;
  #isComplete = false;
  #outcome: Answer | undefined;
  announced = -1;

  /**
   * @param later runs a continuation after a wait; `outcome` may be set after it
   * @param showsOwn upstream was shown the gateway's own credential
   */
  constructor(later: (step: () => void) => void, showsOwn: boolean) {
    this.#later = later;
    this.#showsOwn = showsOwn;
  }

  get headersSent(): boolean {
    return this.#head !== undefined;
  }

  get answered(): boolean {
    return this.#outcome !== undefined;
  }

  /** The message, or the refusal; `undefined` = incomplete. */
  get outcome(): Answer | undefined {
    return this.#outcome;
  }

  /** True = received bytes are still being inflated. */
  get busy(): boolean {
    return this.#reader?.busy ?? false;
  }

  /** Takes a complete header block. */
  headers(block: AnswerBlock, endStream: boolean): void {
    if (blockFault(this, block, endStream, 'POST')) {
      this.#settle(UPSTREAM_BROKEN);
    } else if (block.isInterim) {
      this.#interimHeads += 1;
      if (this.#interimHeads > MOST_INTERIM) throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, 'too many heads');
    } else {
      if (!this.#head) this.announced = block.contentLength;
      this.#head ??= block;
      if (endStream) this.#end(block);
    }
  }

  /** Takes bytes of the message, which must not change while the answer is busy. */
  data(bytes: Buffer, endStream: boolean): void {
    const head = this.#head;
    if (!head || dataFault(this, bytes.length, endStream)) {
      this.#settle(UPSTREAM_BROKEN);
      return;
    }
    if (this.announced > 0) this.announced -= bytes.length;
    this.#read(() => {
      this.#reader ??= this.#open(head);
      this.#reader.push(bytes);
    });
    // gRPC ends an answer with trailers.
    if (endStream) this.#settle(UPSTREAM_BROKEN);
  }

  /** Cancels: no continuation follows. */
  close(): void {
    this.#reader?.close();
  }

  #open({ fields }: AnswerBlock): MessageReader {
    const later = (step: () => void): void => this.#later(() => this.#read(step));
    return new MessageReader(
      { encoding: fieldOf(fields, 'grpc-encoding'), limits: LIMITS, single: true, later },
      this.#message,
    );
  }

  #end({ fields, status, refusesCredential }: AnswerBlock): void {
    const reader = this.#reader;
    if (refusesCredential && this.#showsOwn) {
      this.#settle(UPSTREAM_KEY_REFUSED);
    } else if (status === undefined || (status === GrpcCode.ok && !reader)) {
      this.#settle(UPSTREAM_BROKEN);
    } else if (status !== GrpcCode.ok) {
      this.#settle(refusalOf(status, fieldOf(fields, 'grpc-message') ?? '', fieldOf(fields, 'retry-after')));
    } else {
      this.#isComplete = true;
      this.#read(() => reader?.end());
    }
  }

  #read(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof WireFault)) throw error;
      this.#settle(error.denial.code === 'body_too_large' ? ANSWER_TOO_LARGE : UPSTREAM_BROKEN);
      return;
    }
    if (this.#isComplete && !this.busy) this.#settle({ kind: 'message', message: this.#message.bytes });
  }

  #settle(outcome: Answer): void {
    this.#outcome ??= outcome;
  }
}

/** Collects one message. Its buffer grows with the received bytes, not with the announced length. */
class MessageBytes implements MessageSink {
  #buffer: Buffer = Buffer.alloc(0);
  #used = 0;
  #most = 0;

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#used);
  }

  open(length: number): void {
    // The reader limits a message whose length is only known at its end.
    if (Number.isFinite(length) && length > MOST_ANSWER_BYTES) throw overLimit('the answer is too large');
    this.#most = Math.min(length, MOST_ANSWER_BYTES);
  }

  payload(bytes: Buffer): void {
    const needed = this.#used + bytes.length;
    if (needed > this.#buffer.length) {
      const wider = Buffer.allocUnsafe(Math.min(this.#most, Math.max(needed, 2 * this.#buffer.length)));
      this.#buffer.copy(wider, 0, 0, this.#used);
      this.#buffer = wider;
    }
    bytes.copy(this.#buffer, this.#used);
    this.#used = needed;
  }

  close(): void {}
}

function fieldOf(fields: AnswerBlock['fields'], name: string): string | undefined {
  return fields.find((field) => field[0] === name)?.[1];
}

const CODES: ReadonlySet<number> = new Set(Object.values(GrpcCode));

function refusalOf(status: number, message: string, retryAfter: string | undefined): Denial {
  if (status === GrpcCode.unavailable) return UPSTREAM_UNREACHABLE;
  if (status === GrpcCode.deadlineExceeded) return UPSTREAM_TIMEOUT;
  if (!CODES.has(status)) return UPSTREAM_BROKEN;
  return upstreamRefused(502, status as GrpcCode, decodeGrpcMessage(message), retryAfter);
}
