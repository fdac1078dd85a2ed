import type { TenantFinding } from '../../exchange/tenants.ts';
import type { Frame } from '../../http2/frames.ts';
import type { Guard } from '../../lifetime/guard.ts';
import type { Conditional, Permit, References } from '../../policy/decide.ts';
import type { Denial } from '../../policy/denial.ts';
import type { Rewriting } from '../../policy/tenants/rewriting.ts';
import type { Question } from '../answer.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { GrpcRelayOptions } from '../relay/options.ts';
import type { RelayCore } from '../relay/relay-core.ts';

/** The calls of one client connection that are made anew for tenants. */
export interface TenantLane {
  /** Begins to hold a call, with the DATA that has come. */
  begin(exchange: GrpcExchange, decision: Permit | Conditional): void;
  /** The next DATA frame of a call. */
  take(exchange: GrpcExchange, frame: Frame): void;
  /**
   * The answer to a permitted call, whose permit has the rewriting that was made here. `undefined` = the call holds what it was made
   * into (`isRemade`) and is to be relayed: nothing is to be checked, the answer passes as it is, and the windows fit.
   */
  answer(exchange: GrpcExchange, permit: Permit, rewriting: Rewriting): Question | undefined;
  /** A call has ended, or is refused. Idempotent. */
  forget(exchange: GrpcExchange): void;
}

/** Receives the result of a call, once. */
export type CallChecked = (
  exchange: GrpcExchange,
  decision: Permit | Conditional,
  found: References | Denial,
  tenant?: TenantFinding,
) => void;

export type OpenTenantLane = (
  core: RelayCore,
  guard: Guard,
  options: GrpcRelayOptions,
  checked: CallChecked,
) => TenantLane;
