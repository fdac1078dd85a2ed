import { type BodyNeeds, needsOnly } from '../../policy/body-checks.ts';
import type { RestOperation } from '../../policy/operation.ts';
import type { Rewriting } from '../../policy/tenants/rewriting.ts';
import { INLINE_BYTES } from '../body/check-pool.ts';
import type { PlainHead } from '../http1/request-head.ts';
import type { RestResolution } from '../resolve.ts';
import type { TenantRequest } from '../tenants/request.ts';
import type { RelayExchange } from './exchange.ts';

/*
 * The requests that the relay takes: an allowlist. A request, row or body that asks for anything else goes to the server
 * transport, which has every step. So a new column, field or check makes the relay hand over until it implements it.
 */

/** Columns of a row that the relay heeds, or that ask for nothing beyond the decision. */
const COLUMNS: ReadonlySet<string> = new Set<keyof RestOperation>([
  ...(['name', 'method', 'path', 'since', 'until', 'audit'] as const),
  ...(['requires', 'inspect', 'filter', 'body', 'denial', 'anyName', 'long', 'manages', 'pathNames', 'holds'] as const),
]);

/** Where a requirement is checked; of what is public the relay knows nothing. */
const SCOPES: ReadonlySet<string> = new Set<RestOperation['requires']['scope']>([
  ...(['collection', 'global', 'list', 'authenticated'] as const),
]);

/** Fields of a resolution; `refusal` and `lateRefusal` are not among them. The steps that all transports share heed `dotName`. */
const FIELDS: ReadonlySet<string> = new Set<keyof RestResolution>([
  ...(['operation', 'target', 'pathToSend', 'params', 'dotName'] as const),
]);

/** Checks of bodies that the relay runs itself. */
const CHECKS: ReadonlySet<string> = new Set<keyof BodyNeeds>([
  ...(['names', 'depth', 'dotNames', 'facts', 'tenant', 'whole'] as const),
]);

/**
 * A path that differs from the one that is sent in its escapes at most: some clients escape every parameter, or more of it
 * than they must. INVARIANT: the path of the resolution is sent, never the target.
 */
const IN_OTHER_ESCAPES = /^(?:\/[A-Za-z0-9\-._~!'()*%]+)+(?:\?[^#]*)?$/;

/** Is this head, with what it resolves to, one that the relay carries? Nothing has begun yet. */
export function takesRequest(
  { coded, target }: Pick<PlainHead, 'coded' | 'target'>,
  resolution: RestResolution,
): boolean {
  const { operation, pathToSend } = resolution;
  if (coded || !SCOPES.has(operation.requires.scope)) return false;
  if (pathToSend !== target && !IN_OTHER_ESCAPES.test(target)) return false;
  return Object.keys(resolution).every((field) => FIELDS.has(field)) && takesRow(operation);
}

function takesRow(operation: RestOperation): boolean {
  return Object.keys(operation).every((column) => COLUMNS.has(column));
}

/**
 * Does the relay send what was made of this request of a tenant? Only another body to the same place, whose answer passes as it
 * is. INVARIANT: nothing has been sent, and the other lane makes it anew once more.
 */
export function takesRewriting(
  { method, resolution }: Pick<RelayExchange, 'method' | 'resolution'>,
  { request, checks, answer }: Rewriting<TenantRequest>,
): boolean {
  if (checks.length > 0 || answer !== undefined || request.body === undefined) return false;
  if (request.body.byteLength > INLINE_BYTES) return false;
  return request.method === method && request.path === resolution.pathToSend;
}

/** The body that is sent. INVARIANT: a rewriting that the relay does not take is never sent by it. */
export function takenBody(exchange: RelayExchange, rewriting: Rewriting<TenantRequest>): Buffer {
  const { body } = rewriting.request;
  if (body === undefined || !takesRewriting(exchange, rewriting)) {
    throw new TypeError('a request of a tenant was not handed over');
  }
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

/** Does the relay run all of these checks? */
export function takesChecks(needs: BodyNeeds): boolean {
  return needsOnly(needs, CHECKS);
}
