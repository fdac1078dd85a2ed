import { type Protocol, resume } from '../exchange.ts';
import { DepthMeter } from '../json/depth.ts';
import type { Conditional, References } from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import { withDecodedBody } from './decoded-body.ts';
import { canNameNothing, inspectBody } from './inspect.ts';
import type { LaneOptions } from './lane-options.ts';
import { TOO_DEEP } from './request-body.ts';
import type { RestExchange } from './rest-exchange.ts';

const NOTHING_NAMED: References = Object.freeze({ others: Object.freeze([]) });

/** Step 5b: reads the body, decodes it and looks for names; the bytes as they came are kept to be forwarded. */
export function inspect(
  options: LaneOptions,
  protocol: Protocol<RestExchange>,
  exchange: RestExchange,
  conditional: Conditional,
): void {
  withDecodedBody(
    exchange,
    options,
    (decoded) => findNames(conditional, decoded, options),
    (found) => {
      exchange.measured = true;
      if (!exchange.response.destroyed) resume(options.parts, protocol, exchange, conditional, found);
    },
  );
}

/** What a whole, decoded body names, or why it is refused; measures its nesting, too. May throw on a fault of ours. */
export function findNames(
  conditional: Conditional,
  body: Buffer,
  { inspection }: Pick<LaneOptions, 'inspection'>,
): References | Denial {
  const inspector = conditional.operation.inspect;
  if (inspector === undefined) return INTERNAL_FAULT;
  if (!canNameNothing(body)) return inspectBody(inspector, body, inspection);
  return new DepthMeter(inspection.maxDepth).push(body) ? NOTHING_NAMED : TOO_DEEP;
}
