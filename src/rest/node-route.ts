import { isRepeatable, placementOf } from '../operations/placement.ts';
import { seesAll } from '../policy/access.ts';
import type { NodeSet } from '../upstream/nodes/node-set.ts';
import { AFFINITY_HEADER, clientOf, NODE_HEADER } from '../upstream/nodes/pick.ts';
import { NodeRoute } from '../upstream/nodes/route.ts';
import { headerValues } from './exchange.ts';
import type { RestRequest } from './request.ts';

/** The way of a REST request among several nodes. */
export function routeOf(nodes: NodeSet, exchange: RestRequest & { readonly headers: readonly string[] }): NodeRoute {
  const { resolution, principal, remote, headers } = exchange;
  const operation = resolution?.operation;
  const wish = {
    sticky: !operation || placementOf(operation) === 'sticky',
    asked: principal && headerValues(headers, NODE_HEADER)[0],
    affinity: headerValues(headers, AFFINITY_HEADER)[0],
    client: clientOf(principal, remote),
    sees: seesAll(principal?.access),
  };
  return new NodeRoute(nodes, wish, operation !== undefined && isRepeatable(operation));
}
