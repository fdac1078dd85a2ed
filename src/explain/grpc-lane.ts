import type { Config } from '../config/schema.ts';
import type { ExchangeParts, Protocol } from '../exchange/exchange.ts';
import { bodyChecked, exchangeGuard } from '../exchange/steps.ts';
import type { TenantFinding } from '../exchange/tenants.ts';
import { createInspector, type MessageInspector } from '../grpc/message/inspect.ts';
import { rowForNames } from '../grpc/message/inspect-shapes.ts';
import { type GrpcResolution, resolveGrpc } from '../grpc/resolve.ts';
import { callFinding } from '../grpc/tenants/finding.ts';
import { type RewriteTask, runRewriteTask } from '../grpc/tenants/thread/rewrite-task.ts';
import { type BodyNeeds, needsOnly } from '../policy/body-checks.ts';
import type { Conditional, Permit, References } from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import type { Assumptions } from './assumptions.ts';
import { OFFLINE_ENDS, type OfflineExchange, type OfflineHead, offlineState } from './exchange.ts';

/** A gRPC call that is judged offline. */
export interface OfflineGrpc extends OfflineExchange {
  readonly protocol: 'grpc';
  resolution: GrpcResolution | undefined;
  /** The request stream: one message with its prefix, not compressed. */
  readonly framed: Buffer;
}

/** A new gRPC exchange. @param done called when it has ended */
export function grpcExchange(head: Omit<OfflineHead, 'hasBody'>, framed: Buffer, done: () => void): OfflineGrpc {
  return { protocol: 'grpc', framed, ...offlineState({ ...head, hasBody: true }, done) };
}

/** Checks of messages that are known here: those of the relay. */
const CHECKS: ReadonlySet<string> = new Set<keyof BodyNeeds>(['names', 'depth', 'dotNames', 'facts', 'tenant']);

interface Lane {
  readonly parts: ExchangeParts;
  readonly config: Config;
  readonly assumptions: Assumptions;
  readonly protocol: Protocol<OfflineGrpc>;
}

/** The lane of gRPC: table, message inspector and rewriting of the relay. Forwarding and refusing end the exchange. */
export function grpcLane(parts: ExchangeParts, config: Config, assumptions: Assumptions): Protocol<OfflineGrpc> {
  const protocol: Protocol<OfflineGrpc> = {
    resolve: ({ requestTarget }) => resolveGrpc(requestTarget),
    checkBody: (exchange, decision, needs) =>
      checkBody({ parts, config, assumptions, protocol }, exchange, decision, needs),
    ...OFFLINE_ENDS,
  };
  return protocol;
}

/** The body step over a message that is all there, as `grpc/relay/calls.ts` has it. */
function checkBody(lane: Lane, exchange: OfflineGrpc, decision: Permit | Conditional, needs: BodyNeeds): void {
  const settle = (found: References | Denial | undefined, tenant?: TenantFinding): void =>
    bodyChecked(lane.parts, lane.protocol, exchange, decision, found, tenant);
  if (!needsOnly(needs, CHECKS)) settle(INTERNAL_FAULT);
  else if (needs.tenant) rewrite(lane, exchange, decision, needs, settle);
  else if (needs.names && decision.kind === 'conditional') {
    read(lane, exchange, decision, needs, (inspector) =>
      settle(inspector.found(decision.access) ?? inspector.refusal ?? INTERNAL_FAULT),
    );
  } else if (needs.facts) settle(INTERNAL_FAULT);
  else read(lane, exchange, decision, needs, (inspector) => settle(inspector.refusal));
}

/** Reads the stream. @param done called once, when it has been read to its end */
function read(
  { parts, config, protocol }: Lane,
  exchange: OfflineGrpc,
  decision: Permit | Conditional,
  needs: BodyNeeds,
  done: (inspector: MessageInspector) => void,
): void {
  const bytes = config.gateway.limits.inspected_body_bytes;
  const operation = operationOf(exchange);
  const byName = decision.kind === 'conditional' || needs.dotNames === true;
  const guard = exchangeGuard(parts, protocol, exchange);
  const inspector = createInspector(byName ? rowForNames(operation) : operation, {
    encoding: undefined,
    limits: { compressedBytes: bytes, inflatedBytes: bytes },
    refusesDotNames: needs.dotNames === true,
    facts: exchange.wantsFacts,
    moved: guard.entry(() => done(inspector)),
  });
  inspector.push(exchange.framed);
  inspector.end();
  if (!inspector.busy) done(inspector);
}

function rewrite(
  { parts, config, assumptions }: Lane,
  exchange: OfflineGrpc,
  decision: Permit | Conditional,
  needs: BodyNeeds,
  settle: (found: References | Denial, tenant: TenantFinding) => void,
): void {
  const operation = operationOf(exchange);
  const tenancy = exchange.principal?.tenancy;
  if (!tenancy) throw new TypeError('a call of a tenant has no tenancy');
  const task = (idfVectors: RewriteTask['idfVectors']): RewriteTask => ({
    ...{ path: operation.path, tenancy, features: parts.bodyRules.features(), idfVectors },
    ...{ refusesDotNames: needs.dotNames === true, facts: exchange.wantsFacts },
    mostBytes: config.gateway.limits.inspected_body_bytes,
  });
  const made = (idfVectors: RewriteTask['idfVectors']) =>
    callFinding(operation, decision, runRewriteTask(task(idfVectors), exchange.framed));
  const first = made('unasked');
  const { found, tenant } = first.needsFactsOf === undefined ? first : made(assumptions.idfVectors ?? 'unknown');
  settle(found, tenant);
}

function operationOf({ resolution, requestTarget }: OfflineGrpc) {
  return (resolution ?? resolveGrpc(requestTarget)).operation;
}
