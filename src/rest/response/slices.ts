import { UPSTREAM_TIMEOUT } from '../../policy/denial.ts';
import { NO_CORS } from '../cors.ts';
import type { RestExchange } from '../exchange.ts';
import { writeHead } from '../headers.ts';
import { refuseOrBreak } from '../http1/break-off.ts';
import { closesConnection, endAfterBody, isUnread } from '../http1/swallow.ts';
import { answerWhole } from '../reject.ts';
import type { AnswerReservation } from './answer-budget.ts';

/** Bytes of an answer that are on their way to the client at once. */
const SLICE = 65_536;
const NOTHING = Buffer.alloc(0);

interface Whole {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/**
 * Answers with a body that is there as a whole, at the client's pace: the next slice is written when the one before it is
 * taken, so that it shows whether the client takes anything. Does nothing once an answer has begun.
 *
 * @param place is left with the last slice; a client that takes nothing while others wait for it loses its answer
 */
export function answerInSlices(
  exchange: RestExchange,
  { status, headers, body }: Whole,
  place: AnswerReservation,
): void {
  if (exchange.answered) return;
  if (body.length <= SLICE || exchange.method === 'HEAD') {
    answerWhole(exchange, status, headers, body);
    place.leave();
    return;
  }
  const close = closesConnection(exchange, status) ? ['connection', 'close'] : [];
  writeHead(exchange, status, [...headers, 'content-length', String(body.length), ...close]);
  const { response, guard, life } = exchange;
  let left = body;
  let taken = (): void => undefined;
  const stalled = (): void => {
    left = NOTHING;
    refuseOrBreak(exchange, UPSTREAM_TIMEOUT, NO_CORS);
  };
  const next = guard.entry((): void => {
    taken();
    while (left.length > 0 && !life.ended) {
      // The last one may lie there for long: a copy, so that it keeps nothing of the rest.
      const slice = left.length > SLICE ? left.subarray(0, SLICE) : Buffer.from(left);
      left = left.length > SLICE ? left.subarray(SLICE) : NOTHING;
      exchange.sent += slice.length;
      if (response.write(slice)) continue;
      if (left.length === 0) place.leave();
      else taken = place.untaken(stalled);
      response.once('drain', next);
      return;
    }
    if (life.ended) return;
    place.leave();
    if (isUnread(exchange)) endAfterBody(exchange);
    else response.end();
  });
  next();
}
