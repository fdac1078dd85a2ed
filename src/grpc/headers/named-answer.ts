import type { ClientHeads } from '../../http2/client-heads.ts';
import type { HeaderField } from '../../http2/hpack.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { AnswerBlock } from './answer-blocks.ts';

/**
 * Sends a block of upstream's to the client of its call. The first has the id of the request if the call has one: every answer has
 * while an audit keeps requests.
 */
export function sendBlock(heads: ClientHeads, exchange: GrpcExchange, block: AnswerBlock, endStream: boolean): void {
  if (exchange.headersSent || exchange.requestId === undefined) heads.framed(exchange.id, block.framed, endStream);
  else heads.fields(exchange.id, named(block.fields, exchange.requestId), endStream);
}

/** Fields of an answer's head with the id of the request, in the place of one of upstream's. */
export function named(fields: readonly HeaderField[], requestId: string | undefined): readonly HeaderField[] {
  if (requestId === undefined) return fields;
  return [...fields.filter(([name]) => name !== 'x-request-id'), ['x-request-id', requestId]];
}
