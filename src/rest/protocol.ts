import type { Protocol } from '../exchange/exchange.ts';
import type { BodyNeeds } from '../policy/body-checks.ts';
import { type Conditional, isPermit, type Permit } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { RestOperation } from '../policy/operation.ts';
import type { Rewriting } from '../policy/tenants/rewriting.ts';
import type { Cors } from './cors.ts';
import { isCrossSite } from './cross-site.ts';
import { HEALTHY } from './health-routes.ts';
import type { RestRequest } from './request.ts';
import type { RestResolution } from './resolve.ts';
import type { TelemetrySettings } from './response/telemetry-settings.ts';
import { isTenantRequest, type TenantRequest } from './tenants/request.ts';

/**
 * The source of the answer to a permitted request.
 * - `pass`: upstream's, as it is
 * - `health`: upstream's, or the gateway's own where upstream has no such route
 * - `filter`: upstream's, without what the principal may not see
 * - `patch`: upstream's, with what it would say of its own settings, were it secured
 */
export type AnswerPlan = 'pass' | 'health' | 'filter' | 'patch';

/**
 * A transport of REST requests: the byte relay or the server. The relay hands over every request that needs a step it does
 * not implement.
 */
export interface RestTransport<X extends RestRequest> {
  readonly resolve: (exchange: X) => RestResolution;
  /** As `Protocol.checkBody`. */
  readonly checkBody: (exchange: X, decision: Permit | Conditional, needs: BodyNeeds) => void;
  /** Sends the request upstream, to the path that was resolved, and streams the answer back as it is. */
  readonly pass: (exchange: X, permit: Permit, resolution: RestResolution) => void;
  /** Sends the request and changes its answer on the way. */
  readonly change: (exchange: X, permit: Permit, plan: Exclude<AnswerPlan, 'pass'>) => void;
  /** Sends the request that was made anew for a tenant, and nothing of the client's body. */
  readonly sendAnew: (exchange: X, rewriting: Rewriting<TenantRequest>) => void;
  /** Answers the request here. */
  readonly reject: (exchange: X, denial: Denial) => void;
  /** As `Protocol.abandonBody`. */
  readonly abandonBody: (exchange: X) => void;
  /** Destroys what carries the exchange. */
  readonly cut: (exchange: X) => void;
}

/** The steps of REST over one transport. Everything that decides how a request is treated is here, once. */
export function restProtocol<X extends RestRequest>(
  transport: RestTransport<X>,
  options: { readonly telemetry: TelemetrySettings; readonly cors: Cors },
): Protocol<X> {
  const { resolve, checkBody, pass, change, sendAnew, reject, abandonBody, cut } = transport;
  return {
    resolve,
    checkBody,
    isCrossSite: (exchange) => isCrossSite(exchange, options.cors),
    forward(exchange, permit) {
      if (!isPermit(permit)) throw new TypeError('a request was forwarded without a permit');
      const { resolution } = exchange;
      if (!resolution) throw new TypeError('a request was forwarded before it was resolved');
      if (permit.tenant !== undefined && permit.tenant !== 'as-it-is') {
        sendAnew(exchange, restRewriting(permit.tenant));
        return;
      }
      const plan = answerPlan(permit, resolution.operation, options.telemetry);
      if (plan === 'pass') pass(exchange, permit, resolution);
      else change(exchange, permit, plan);
    },
    reject,
    abandonBody,
    cut,
  };
}

/** INVARIANT: what is sent in the place of the client's request was made by the body step of REST. */
function restRewriting(rewriting: Rewriting): Rewriting<TenantRequest> {
  const { request } = rewriting;
  if (!isTenantRequest(request)) throw new TypeError('a request was made anew for another protocol');
  return { ...rewriting, request };
}

/** INVARIANT: with a list access an answer that names collections is either filtered or not given at all. */
export function answerPlan(
  permit: Permit,
  { name, filter }: Pick<RestOperation, 'name' | 'filter'>,
  telemetry: TelemetrySettings,
): AnswerPlan {
  if (HEALTHY.has(name)) return 'health';
  if (permit.visible) return 'filter';
  return filter === 'telemetry' && isPatched(telemetry) ? 'patch' : 'pass';
}

/** Is something to be said of the gateway's own settings? */
export function isPatched({ jwtRbac, hideJwtDashboard, audit, hidesOthers }: TelemetrySettings): boolean {
  return hidesOthers === true || jwtRbac !== undefined || hideJwtDashboard !== undefined || audit !== undefined;
}
