import { type Protocol, resume } from '../../exchange/exchange.ts';
import type { Conditional, References } from '../../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import type { RestExchange } from '../exchange.ts';
import type { LaneContext, LaneOptions } from '../options.ts';
import { withDecodedBody } from './decoded-body.ts';
import { type BodyTask, runBodyTask } from './task.ts';

/** Step 5b: reads the body, decodes it and looks for names; the bytes as they came are kept to be forwarded. */
export function inspect(
  options: LaneContext,
  protocol: Protocol<RestExchange>,
  exchange: RestExchange,
  conditional: Conditional,
): void {
  const task = taskOf(conditional, options);
  if (!task) {
    resume(options.parts, protocol, exchange, conditional, INTERNAL_FAULT);
    return;
  }
  withDecodedBody(exchange, options, task, (found) => {
    exchange.measured = true;
    if (!exchange.life.ended) resume(options.parts, protocol, exchange, conditional, found ?? INTERNAL_FAULT);
  });
}

/** What a whole, decoded body names, or why it is refused; measures its nesting, too. May throw on a fault of ours. */
export function findNames(
  conditional: Conditional,
  body: Buffer,
  options: Pick<LaneOptions, 'inspection'>,
): References | Denial {
  const task = taskOf(conditional, options);
  return (task && runBodyTask(task, body)) ?? INTERNAL_FAULT;
}

function taskOf({ operation }: Conditional, { inspection }: Pick<LaneOptions, 'inspection'>): BodyTask | undefined {
  return operation.inspect && { kind: 'names', inspector: operation.inspect, limits: inspection };
}
