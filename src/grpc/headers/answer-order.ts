import type { AnswerBlock } from './answer-blocks.ts';

/** Most heads with a 1xx status of one answer. gRPC gives them no meaning, so they are dropped here. */
export const MOST_INTERIM = 8;

/** Progress of one answer. */
export interface AnswerProgress {
  /** True = its head has been taken. */
  readonly headersSent: boolean;
  /** True = it has ended. */
  readonly answered: boolean;
  /** Bytes of DATA left by its `content-length`; -1 = no such header. */
  readonly announced: number;
}

/** The fault of a header block at its place in an answer (RFC 9113 section 8.1); `undefined` = valid. */
export function blockFault(
  { headersSent, announced }: AnswerProgress,
  block: AnswerBlock,
  endStream: boolean,
  method: string,
): string | undefined {
  if (headersSent) {
    if (announced > 0) return 'less data than announced';
    return block.trailersFault ?? (endStream ? undefined : 'trailers without end');
  }
  if (block.headFault) return block.headFault;
  if (endStream && block.isInterim) return 'interim head at the end';
  return endStream && block.contentLength > 0 && method !== 'HEAD' ? 'no data as announced' : undefined;
}

/**
 * The fault of DATA at its place in an answer (RFC 9113 section 8.1); `undefined` = valid.
 *
 * @param bytes without padding
 */
export function dataFault(
  { headersSent, answered, announced }: AnswerProgress,
  bytes: number,
  endStream: boolean,
): string | undefined {
  if (!headersSent || answered) return 'data outside of an answer';
  if (announced < 0) return undefined;
  if (bytes > announced) return 'more data than announced';
  return endStream && bytes < announced ? 'less data than announced' : undefined;
}
