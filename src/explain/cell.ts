import { REASON_HEADER } from '../exchange/break-glass.ts';
import type { ExchangeParts, Protocol, Resolution } from '../exchange/exchange.ts';
import { begin, bodyChecked } from '../exchange/steps.ts';
import { resolveGrpc } from '../grpc/resolve.ts';
import type { Principal } from '../identity/principal.ts';
import type { BodyNeeds } from '../policy/body-checks.ts';
import type { Conditional, Permit, References, TenantOutcome } from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import { NO_TARGET, type Operation } from '../policy/operation.ts';
import { type Facts, FactTally } from '../policy/search/facts.ts';
import { tenantUse } from '../policy/tenants/operations.ts';
import type { Tenancy } from '../policy/tenants/tenancy.ts';
import { conditionsOn, lookupRefused } from '../policy/tenants/within.ts';
import { OFFLINE_ENDS, type OfflineExchange, offlineState } from './exchange.ts';
import { NO_LIMITS, type OfflineParts } from './parts.ts';
import type { Row } from './space/operations.ts';

/**
 * A request of a class: a row of the access matrix and the names that it has. It has no body: what a body would tell is told
 * here, and its numbers are the smallest.
 */
export interface Cell {
  readonly row: Row;
  /** The collection of path, message or body; `undefined` = the operation has none. */
  readonly collection: string | undefined;
  /** Other names in the body, in checking order. */
  readonly others: readonly string[];
}

interface CellExchange extends OfflineExchange {
  readonly cell: Cell;
}

/** The least that a body can ask for. */
const LEAST: Facts = new FactTally().facts;
/** Every request says why, as those with a break-glass key must. */
const HEADERS: readonly string[] = Object.freeze([REASON_HEADER, 'a question about the policy']);

/**
 * The end of a request of this class, by the steps of the server. Synchronous: the caller is known, and nothing is waited for.
 * Limits are not counted, and there is room for more collections.
 *
 * @param identity the caller, or the refusal of its credential
 */
export function judgeCell(parts: OfflineParts, identity: Principal | Denial, cell: Cell): CellExchange {
  const own = parts.forOne({ authenticate: () => identity, limits: NO_LIMITS, creations: NO_COLLECTIONS });
  const head = { requestTarget: '/', headers: HEADERS, remote: parts.assumptions.remote, hasBody: false };
  const exchange: CellExchange = { protocol: cell.row.protocol, cell, ...offlineState(head, ignore) };
  begin(own, laneOf(own), exchange);
  if (!exchange.ending) throw new TypeError('a cell was not judged at once');
  return exchange;
}

function laneOf(parts: ExchangeParts): Protocol<CellExchange> {
  const protocol: Protocol<CellExchange> = {
    resolve(exchange) {
      exchange.resolution = resolutionOf(exchange.cell);
      return exchange.resolution;
    },
    checkBody: (exchange, decision, needs) =>
      bodyChecked(parts, protocol, exchange, decision, namesTold(exchange.cell, needs), tenantTold(exchange, decision)),
    ...OFFLINE_ENDS,
  };
  return protocol;
}

/** As the resolver of the protocol tells it before the body is read. */
function resolutionOf({ row, collection }: Cell): Resolution {
  if (row.protocol === 'grpc')
    return row.operation.unlisted ? { ...row, target: NO_TARGET } : resolveGrpc(row.operation.path);
  const { operation } = row;
  const named = collection !== undefined && operation.path.includes('{collection}');
  return { operation, target: named ? { kind: 'collection', name: collection } : NO_TARGET };
}

function namesTold({ row, collection, others }: Cell, { facts }: BodyNeeds): References {
  const inBody = row.protocol === 'grpc' || !row.operation.path.includes('{collection}');
  return { ...(inBody && collection !== undefined && { target: collection }), others, ...(facts && { facts: LEAST }) };
}

/** A request that could be made anew for the tenancy, wherever there is a place for it. */
function tenantTold(
  { cell, principal }: CellExchange,
  { operation }: Permit | Conditional,
): TenantOutcome | Denial | undefined {
  const tenancy = principal?.tenancy;
  if (!tenancy || tenantUse(operation.name) !== 'rewrite') return undefined;
  if (cell.collection === undefined) return INTERNAL_FAULT;
  const conditions = conditionsOn(tenancy, cell.collection);
  if ('kind' in conditions) return conditions;
  const refused = cell.others.map((name) => lookupDenial(operation, tenancy, name)).find((one) => one !== undefined);
  return refused ?? { request: cell, checks: [], answer: undefined, byIdAlone: [] };
}

/** Where it can be, the other collection is one to look vectors up in; in groups it is one whose points are shown. */
function lookupDenial({ inspect }: Operation, tenancy: Tenancy, name: string): Denial | undefined {
  if (inspect === 'search-groups') return lookupRefused(tenancy, name);
  const conditions = conditionsOn(tenancy, name);
  return 'kind' in conditions ? conditions : undefined;
}

const NO_COLLECTIONS: ExchangeParts['creations'] = {
  existing: () => [],
  current: (names) => names,
  begin: ignore,
  end: ignore,
};

function ignore(): void {}
