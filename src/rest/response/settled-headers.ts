import { withRequestId } from '../../exchange/request-id.ts';
import { type Cors, settleCors } from '../cors.ts';
import type { RestExchange } from '../exchange.ts';

/**
 * The headers of an answer of upstream's as the client gets them: with the CORS part that is decided here, and with the id of the request if
 * it has one. Name, value, names in lower case.
 */
export function settledHeaders(
  exchange: Pick<RestExchange, 'headers' | 'requestId'>,
  answer: readonly string[],
  cors: Cors,
): string[] {
  return withRequestId(exchange, settleCors(exchange, answer, cors));
}
