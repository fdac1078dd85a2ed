import { createInspector } from '../grpc/message/inspect.ts';
import { resolveGrpc } from '../grpc/resolve.ts';
import type { Facts } from '../policy/search/facts.ts';
import { hasFacts } from '../policy/search/operations.ts';
import { readFacts } from '../rest/body/facts/read.ts';
import { headerValues } from '../rest/exchange.ts';
import { inspectionOf } from '../rest/options.ts';
import { framed, type Judged } from './judge.ts';
import type { OfflineParts } from './parts.ts';

/** The numbers of a request whose decision did not need them. `undefined` = it has none, or they cannot be read. */
export function factsOf({ request, exchange }: Judged, { state: { config } }: OfflineParts): Facts | undefined {
  const operation = exchange.resolution?.operation;
  if (!operation || !hasFacts(operation)) return undefined;
  if (request.protocol === 'grpc') {
    const inspector = createInspector(resolveGrpc(request.path).operation, { encoding: undefined, facts: true });
    inspector.push(framed(request.message));
    inspector.end();
    return inspector.named?.facts;
  }
  if (request.body.length === 0 || headerValues(request.headers, 'content-encoding').length > 0) return undefined;
  const found = readFacts(operation.name, request.body, inspectionOf(config.gateway.limits));
  return found && 'kind' in found ? undefined : found;
}
