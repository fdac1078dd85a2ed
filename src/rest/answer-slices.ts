import { writeHead } from './headers.ts';
import { answerWhole } from './reject.ts';
import type { RestExchange } from './rest-exchange.ts';
import { closesConnection, endAfterBody, isUnread } from './swallow.ts';

/** Bytes of an answer that are on their way to the client at once. */
const SLICE = 65_536;

/**
 * Answers with a body that is there as a whole, at the client's pace: the next slice is written when the one before it is
 * taken, so that it shows whether the client takes anything. Does nothing once an answer has begun.
 */
export function answerInSlices(exchange: RestExchange, status: number, headers: readonly string[], body: Buffer): void {
  if (exchange.answered) return;
  if (body.length <= SLICE || exchange.method === 'HEAD') {
    answerWhole(exchange, status, headers, body);
    return;
  }
  const close = closesConnection(exchange, status) ? ['connection', 'close'] : [];
  writeHead(exchange, status, [...headers, 'content-length', String(body.length), ...close]);
  const { response, guard, life } = exchange;
  let left = body;
  const next = guard.entry((): void => {
    while (left.length > 0 && !life.ended) {
      const slice = left.subarray(0, SLICE);
      left = left.subarray(slice.length);
      exchange.sent += slice.length;
      if (response.write(slice)) continue;
      response.once('drain', next);
      return;
    }
    if (life.ended) return;
    if (isUnread(exchange)) endAfterBody(exchange);
    else response.end();
  });
  next();
}
