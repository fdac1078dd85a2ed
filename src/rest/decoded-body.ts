import { type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import type { BodyFinding, BodyTask } from './body-task.ts';
import { decodeBody } from './content-coding.ts';
import type { LaneContext } from './lane-options.ts';
import { readBody } from './request-body.ts';
import { headerValues, type RestExchange } from './rest-exchange.ts';

/**
 * Reads the whole body, decodes it, and has it judged; ends in one call of `settle`, with what was found or why it came to
 * nothing, or in none when the client has left. The bytes as they came are kept in `exchange.body`, to be forwarded; a body
 * that was read before is not read again. A fault of ours denies.
 */
export function withDecodedBody(
  exchange: RestExchange,
  options: LaneContext,
  task: BodyTask,
  settle: (found: BodyFinding) => void,
): void {
  const fail = (error: unknown): void => {
    options.parts.fault(error, exchange);
    settle(INTERNAL_FAULT);
  };
  const judge = (decoded: Buffer | Denial): void => {
    if (!Buffer.isBuffer(decoded)) {
      settle(decoded);
      return;
    }
    const plain = decoded === exchange.body;
    options.judge.judge({
      task,
      body: decoded,
      wanted: () => !exchange.response.destroyed,
      done: (found, body) => {
        if (plain) exchange.body = body;
        settle(found);
      },
      fail,
    });
  };
  const decode = (body: Buffer | Denial): void => {
    if (!Buffer.isBuffer(body)) {
      settle(body);
      return;
    }
    exchange.body = body;
    let decoded: ReturnType<typeof decodeBody>;
    try {
      decoded = decodeBody(body, headerValues(exchange.headers, 'content-encoding'), options.maxInspectedBytes);
    } catch (error) {
      fail(error);
      return;
    }
    if (decoded instanceof Promise) decoded.then(judge, fail);
    else judge(decoded);
  };
  if (exchange.body) decode(exchange.body);
  else if (exchange.hasBody)
    readBody(exchange, { maxBytes: options.maxInspectedBytes, idleMs: options.bodyIdleMs }, decode);
  else decode(Buffer.alloc(0));
}
