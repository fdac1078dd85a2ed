import type { Limits } from '../../config/schema.ts';
import type { ExchangeParts } from '../../exchange/exchange.ts';
import type { CollectionFacts, FactsOfCollections } from '../../upstream/collection-facts.ts';
import { inspectionOf } from '../options.ts';
import type { RestRequest } from '../request.ts';
import { SEARCHING, type TenantTask } from './rewrite.ts';

/** The parts of a transport that a task is made of. */
export interface TaskSources {
  readonly parts: Pick<ExchangeParts, 'bodyRules'>;
  readonly limits: Limits;
  readonly facts: FactsOfCollections;
}

/** A request of a tenant. */
type TenantsRequest = Pick<RestRequest, 'principal' | 'resolution'> & { readonly method: string };

/**
 * The task for the tenancy of the caller: at once, or when the facts are known on which it depends. `undefined` = there is no
 * tenancy, and the request is to be denied.
 */
export function tenantTask(
  { principal, resolution, method }: TenantsRequest,
  { parts, limits, facts }: TaskSources,
): TenantTask | undefined | Promise<TenantTask> {
  const tenancy = principal?.tenancy;
  const [collection] = resolution?.params ?? [];
  if (!tenancy || !resolution || collection === undefined) return undefined;
  const { operation, pathToSend, params } = resolution;
  const task = (known: CollectionFacts | undefined): TenantTask => ({
    ...{ operation: operation.name, method, pathToSend, params, tenancy },
    ...{ idfVectors: known?.idfVectors, hasShardKeys: known?.hasShardKeys },
    features: parts.bodyRules.features(),
    maxBytes: limits.inspected_body_bytes,
    maxDepth: inspectionOf(limits).maxDepth,
  });
  if (!SEARCHING.test(operation.name)) return task(undefined);
  const known = facts.of(collection);
  return known instanceof Promise ? whenKnown(known, task) : task(known);
}

async function whenKnown(
  facts: Promise<CollectionFacts | undefined>,
  task: (known: CollectionFacts | undefined) => TenantTask,
): Promise<TenantTask> {
  return task(await facts);
}

const BAD_REQUEST = 400;

/**
 * Upstream has answered a request of a tenant. With 400 perhaps because `params.idf` was set for a vector that has been made anew
 * without the modifier: the collection is asked again.
 */
export function heardForTenant(
  { principal, resolution }: Pick<RestRequest, 'principal' | 'resolution'>,
  status: number,
  facts: FactsOfCollections,
): void {
  if (status !== BAD_REQUEST || principal?.tenancy === undefined) return;
  if (resolution?.target.kind === 'collection') facts.forget(resolution.target.name);
}
