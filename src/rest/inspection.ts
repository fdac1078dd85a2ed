import { type Protocol, resume } from '../exchange.ts';
import { DepthMeter } from '../json/depth.ts';
import type { Conditional, References } from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import { decodeBody } from './content-coding.ts';
import { canNameNothing, inspectBody } from './inspect.ts';
import type { LaneOptions } from './lane-options.ts';
import { readBody, TOO_DEEP } from './request-body.ts';
import { headerValues, type RestExchange } from './rest-exchange.ts';

const NOTHING_NAMED: References = Object.freeze({ others: Object.freeze([]) });

/** Step 5b: reads the body, decodes it and looks for names; the bytes as they came are kept to be forwarded. */
export function inspect(
  options: LaneOptions,
  protocol: Protocol<RestExchange>,
  exchange: RestExchange,
  conditional: Conditional,
): void {
  const settle = (found: References | Denial): void => {
    if (!exchange.response.destroyed) resume(options.parts, protocol, exchange, conditional, found);
  };
  const fail = (error: unknown): void => {
    options.parts.fault(error, exchange);
    settle(INTERNAL_FAULT);
  };
  const look = (decoded: Buffer | Denial): void => {
    let found: References | Denial;
    try {
      found = Buffer.isBuffer(decoded) ? findNames(conditional, decoded, options) : decoded;
    } catch (error) {
      fail(error);
      return;
    }
    settle(found);
  };
  const decode = (body: Buffer | Denial): void => {
    if (!Buffer.isBuffer(body)) {
      settle(body);
      return;
    }
    exchange.body = body;
    exchange.measured = true;
    try {
      const codings = headerValues(exchange.headers, 'content-encoding');
      const decoded = decodeBody(body, codings, options.maxInspectedBytes);
      if (decoded instanceof Promise) decoded.then(look, fail);
      else look(decoded);
    } catch (error) {
      fail(error);
    }
  };
  if (exchange.hasBody) readBody(exchange, { maxBytes: options.maxInspectedBytes, idleMs: options.bodyIdleMs }, decode);
  else decode(Buffer.alloc(0));
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
