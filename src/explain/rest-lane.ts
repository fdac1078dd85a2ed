import type { Config } from '../config/schema.ts';
import type { ExchangeParts, Protocol } from '../exchange/exchange.ts';
import { bodyChecked, exchangeGuard } from '../exchange/steps.ts';
import { type BodyNeeds, isDepthOnly } from '../policy/body-checks.ts';
import type { Conditional, Permit } from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import { decodeBody } from '../rest/body/content-coding.ts';
import { type BodyFinding, bodyTask, isTenantFound, runBodyTask } from '../rest/body/task.ts';
import { headerValues } from '../rest/exchange.ts';
import { inspectionOf } from '../rest/options.ts';
import type { RestRequest } from '../rest/request.ts';
import { createResolver } from '../rest/resolve.ts';
import type { TenantTask } from '../rest/tenants/rewrite.ts';
import { tenantTask } from '../rest/tenants/task.ts';
import { FactsOfCollections } from '../upstream/collection-facts.ts';
import type { Assumptions } from './assumptions.ts';
import { endAs, OFFLINE_ENDS, type OfflineExchange, type OfflineHead, offlineState, rewritingOf } from './exchange.ts';

/** A REST request that is judged offline. */
export interface OfflineRest extends RestRequest, Pick<OfflineExchange, 'ending' | 'done'> {
  readonly method: string;
  readonly body: Buffer;
}

/** A new REST exchange. @param done called when it has ended */
export function restExchange(method: string, head: OfflineHead, body: Buffer, done: () => void): OfflineRest {
  return { protocol: 'rest', method, body, host: '', peer: { scheme: 'https' }, ...offlineState(head, done) };
}

interface Lane {
  readonly parts: ExchangeParts;
  readonly config: Config;
  readonly facts: FactsOfCollections;
  readonly protocol: Protocol<OfflineRest>;
}

/** The lane of REST: resolver, body step and rewriting of the server. Forwarding and refusing end the exchange. */
export function restLane(parts: ExchangeParts, config: Config, assumptions: Assumptions): Protocol<OfflineRest> {
  const resolve = createResolver({ staticContent: assumptions.webUi });
  const { idfVectors } = assumptions;
  const facts = new FactsOfCollections(async () => ({ idfVectors, hasShardKeys: false }), parts.now);
  const protocol: Protocol<OfflineRest> = {
    resolve(exchange) {
      exchange.resolution = resolve(exchange.method, exchange.requestTarget);
      return exchange.resolution;
    },
    checkBody: (exchange, decision, needs) => checkBody({ parts, config, facts, protocol }, exchange, decision, needs),
    ...OFFLINE_ENDS,
    forward(exchange, permit) {
      const path = exchange.resolution?.pathToSend;
      endAs(exchange, { kind: 'forwarded', permit, rewriting: rewritingOf(permit), path });
    },
  };
  return protocol;
}

/** The body step over bytes that are all there: the checks of the server, on the body as the server decodes it. */
function checkBody(lane: Lane, exchange: OfflineRest, decision: Permit | Conditional, needs: BodyNeeds): void {
  const { parts, config, facts, protocol } = lane;
  const { limits } = config.gateway;
  const settle = (found: BodyFinding): void => {
    if (isTenantFound(found)) bodyChecked(parts, protocol, exchange, decision, found.names, found.tenant);
    else bodyChecked(parts, protocol, exchange, decision, found);
  };
  const check = (decoded: Buffer | Denial, tenant: TenantTask | undefined): void => {
    const task = bodyTask(decision, needs, inspectionOf(limits), tenant);
    if (!task) settle(INTERNAL_FAULT);
    else settle(Buffer.isBuffer(decoded) ? runBodyTask(task, decoded) : decoded);
  };
  const run = (tenant?: TenantTask): void => {
    const codings = headerValues(exchange.headers, 'content-encoding');
    // A plain body that is only measured passes while it is, whatever its length.
    const streams = isDepthOnly(needs) && codings.length === 0;
    const most = streams ? Number.POSITIVE_INFINITY : limits.inspected_body_bytes;
    const decoded = decodeBody(exchange.body, codings, most);
    if (!(decoded instanceof Promise)) check(decoded, tenant);
    else exchangeGuard(parts, protocol, exchange).settled(decoded, (bytes) => check(bytes, tenant));
  };
  const task = needs.tenant && tenantTask(exchange, { parts, limits, facts });
  if (!(task instanceof Promise)) run(task);
  else exchangeGuard(parts, protocol, exchange).settled(task, run);
}
