import { DepthMeter } from '../../json/depth.ts';
import { type BodyNeeds, isDepthOnly } from '../../policy/body-checks.ts';
import type { Conditional, Permit } from '../../policy/decide.ts';
import { INTERNAL_FAULT } from '../../policy/denial.ts';
import { headerValues, type RestExchange } from '../exchange.ts';
import { inspectionOf, type LaneContext } from '../options.ts';
import type { TenantTask } from '../tenants/rewrite.ts';
import { tenantTask } from '../tenants/task.ts';
import { withDecodedBody } from './decoded-body.ts';
import { WHOLE_BYTES } from './nesting-guard.ts';
import { type BodyFinding, bodyTask } from './task.ts';

/**
 * Step 5b of the server lane: reads the whole body, decodes it and runs all checks on it; the bytes as they came are kept to
 * be forwarded. A large, plain body that only has to be measured is measured while it passes instead.
 *
 * @param done called once, or never when the client has left
 */
export function checkBody(
  exchange: RestExchange,
  options: LaneContext,
  { decision, needs }: { readonly decision: Permit | Conditional; readonly needs: BodyNeeds },
  done: (found: BodyFinding) => void,
): void {
  if (isDepthOnly(needs) && !isSmall(exchange) && !isCoded(exchange)) {
    exchange.measuredTo = options.limits.json_depth;
    done(undefined);
    return;
  }
  const run = (tenant?: TenantTask): void => {
    const task = bodyTask(decision, needs, inspectionOf(options.limits), tenant);
    if (!task) {
      done(INTERNAL_FAULT);
      return;
    }
    withDecodedBody(exchange, options, task, (found) => {
      if (!exchange.life.ended) done(found);
    });
  };
  const tenant = needs.tenant && tenantTask(exchange, options);
  if (!(tenant instanceof Promise)) run(tenant);
  else {
    exchange.guard.settled(tenant, (task) => {
      if (!exchange.life.ended) run(task);
    });
  }
}

/** The meter for a body that streams. Upstream parses nothing before the body is whole, and its end never comes. */
export function streamGuard({ measuredTo }: RestExchange): DepthMeter | undefined {
  return measuredTo === undefined ? undefined : new DepthMeter(measuredTo);
}

function isSmall(exchange: RestExchange): boolean {
  const length = exchange.request.headers['content-length'];
  return length !== undefined && Number(length) <= WHOLE_BYTES;
}

function isCoded(exchange: RestExchange): boolean {
  return headerValues(exchange.headers, 'content-encoding').length > 0;
}
