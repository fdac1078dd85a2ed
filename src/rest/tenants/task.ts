import type { RestExchange } from '../exchange.ts';
import { inspectionOf, type LaneContext } from '../options.ts';
import type { TenantTask } from './rewrite.ts';

/** Rows of which a vector may score by the statistics of terms. */
const SCORING = /^points\.(?:query|search|recommend|discover)/;

/**
 * Makes the task for the tenancy of the caller, once the facts are known on which it depends. Without a tenancy there is none,
 * and the request is denied. Does not call `run` when the client has left.
 */
export function withTenantTask(
  exchange: RestExchange,
  options: LaneContext,
  run: (task: TenantTask | undefined) => void,
): void {
  const { principal, resolution, method } = exchange;
  const tenancy = principal?.tenancy;
  const [collection] = resolution?.params ?? [];
  if (!tenancy || !resolution || collection === undefined) {
    run(undefined);
    return;
  }
  const { operation, pathToSend, params } = resolution;
  const task = (idfVectors: ReadonlySet<string> | undefined): TenantTask => ({
    ...{ operation: operation.name, method, pathToSend, params, tenancy, idfVectors },
    features: options.parts.bodyRules.features(),
    maxBytes: options.limits.inspected_body_bytes,
    maxDepth: inspectionOf(options.limits).maxDepth,
  });
  if (!SCORING.test(operation.name)) {
    run(task(undefined));
    return;
  }
  const facts = options.facts.of(collection);
  if (!(facts instanceof Promise)) {
    run(task(facts.idfVectors));
    return;
  }
  exchange.guard.settled(facts, (known) => {
    if (!exchange.life.ended) run(task(known?.idfVectors));
  });
}
