import { ErrorCode } from '../../http2/frames.ts';
import { resetSocket } from '../../net/reset-socket.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import type { Cors } from '../cors.ts';
import type { RestExchange } from '../exchange.ts';
import { reject } from '../reject.ts';

/** A refusal while that is still possible; else the answer ends as a broken message, never as a short success. */
export function refuseOrBreak(exchange: RestExchange, denial: Denial, cors: Cors): void {
  if (exchange.answered) {
    exchange.refusal ??= denial;
    breakOff(exchange);
  } else reject(exchange, denial, cors);
}

/** Answers an exception with 500, or breaks off an answer that has begun. No effect once the exchange has ended. */
export function failExchange(exchange: RestExchange, cors: Cors): void {
  if (exchange.life.ended) return;
  exchange.decision = INTERNAL_FAULT;
  refuseOrBreak(exchange, INTERNAL_FAULT, cors);
}

/** Ends an answer so that no client can take it for whole, not even one that reads to the end of the connection. */
function breakOff(exchange: RestExchange): void {
  const { socket } = exchange.request;
  if (exchange.stream) exchange.stream.reset(ErrorCode.INTERNAL_ERROR);
  else if (exchange.peer.scheme === 'https') socket.destroy();
  else resetSocket(socket);
}
