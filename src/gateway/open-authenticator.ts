import type { Audit } from '../audit/audit.ts';
import { tokenEvent } from '../audit/token-event.ts';
import { type Authenticator, createAuthenticator } from '../identity/authenticate.ts';
import type { AskForKeys } from '../identity/issuers/key-sets.ts';
import { createValueExists } from '../identity/value-exists.ts';
import type { FaultReport } from '../lifetime/guard.ts';
import { turnClock } from '../lifetime/turn-clock.ts';
import type { Observation } from '../observability/observation.ts';
import { createTokenEndpoint, type TokenEndpoint } from '../token-endpoint/endpoint.ts';
import type { UpstreamLookup } from '../upstream/lookup.ts';
import type { StateInForce } from './state-in-force.ts';
import { ringOf } from './usable.ts';

/** The authenticator of a process, with the keys of the state in force. */
export function authenticatorOf(inForce: StateInForce, lookup: UpstreamLookup, askForKeys?: AskForKeys): Authenticator {
  const { limits, value_exists: valueExists, client_certificates: certificates } = inForce.state.config.gateway;
  const { mode } = certificates;
  return createAuthenticator({
    ring: ringOf(inForce.state, inForce.generation, { certificates: { mode, trust: inForce.trust } }),
    cacheEntries: limits.token_cache_entries,
    now: turnClock.wall,
    askForKeys,
    valueExists: createValueExists({ scroll: lookup.scroll, timeoutMs: valueExists.timeout_ms }),
    revocations: () => inForce.revocations,
  });
}

/** The parts of a process that exchanges of tokens need. */
export interface EndpointParts {
  readonly inForce: StateInForce;
  readonly authenticator: Authenticator;
  readonly audit: Audit | undefined;
  readonly observation: Observation | undefined;
  readonly report: FaultReport;
}

/** The token endpoint of a process, by the policy in force. */
export function tokenEndpointOf({ inForce, authenticator, audit, observation, report }: EndpointParts): TokenEndpoint {
  return createTokenEndpoint({
    settings: () => inForce.state.policy.tokenExchange,
    authenticator,
    admit: () => audit?.room(),
    record(outcome) {
      observation?.exchangedToken(outcome.result);
      audit?.append(tokenEvent({ ...outcome, at: Date.now() }));
    },
    fault: (error) => report(error, 'exchange'),
    now: Date.now,
    monotonic: () => performance.now(),
  });
}
