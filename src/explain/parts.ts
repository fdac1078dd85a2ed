import type { State } from '../config/state.ts';
import type { ExchangeParts } from '../exchange/exchange.ts';
import { bodyRulesOf } from '../gateway/exchange-parts.ts';
import { ringOffline } from '../gateway/usable.ts';
import { createAuthenticator } from '../identity/authenticate.ts';
import type { AskForKeys } from '../identity/issuers/key-sets.ts';
import type { KeyRing } from '../identity/key-ring.ts';
import { Creations } from '../limits/creations.ts';
import { RequestLimits } from '../limits/request-limits.ts';
import { QDRANT_VERSION } from '../operations/qdrant-version.ts';
import { UPSTREAM_UNREACHABLE, VALUE_EXISTS_NO_POINT } from '../policy/denial.ts';
import type { Policy } from '../policy/rules.ts';
import { policyOf } from '../policy/settings.ts';
import type { KnownRelease } from '../upstream/release-watch.ts';
import { type Assumptions, assumed } from './assumptions.ts';

/** The parts of `exchange/steps.ts` for one state, without socket, upstream, audit or pace. */
export interface OfflineParts {
  readonly state: State;
  readonly assumptions: Assumptions;
  readonly ring: KeyRing;
  readonly policy: Policy;
  readonly authenticate: ExchangeParts['authenticate'];
  /** Why published keys could not be fetched; each is a `KeyFetchFault`. */
  readonly unfetched: readonly unknown[];
  /** Parts for one request: its limits begin unused. */
  readonly forOne: (own?: Partial<ExchangeParts>) => ExchangeParts;
}

/** No request is counted. */
export const NO_LIMITS: ExchangeParts['limits'] = {
  asksForCollection: () => false,
  asksForCost: () => false,
  asksForLength: () => false,
  early: () => undefined,
  take: () => undefined,
  end: () => undefined,
};

/** Builds the parts. Throws what building a key ring throws. */
export function offlineParts(state: State, assumptions: Assumptions): OfflineParts {
  const { config } = state;
  const { rules, guards, limits } = state.policy;
  const ring = ringOffline(state);
  const policy = policyOf(config.gateway.mode, rules, guards, limits);
  const fetchSet = assumptions.asked?.fetchSet;
  const unfetched: unknown[] = [];
  const askForKeys: AskForKeys = async (issuer) => {
    try {
      const set = await fetchSet?.(issuer);
      if (set) authenticator.setKeySets([set]);
    } catch (error) {
      unfetched.push(error);
    }
  };
  const authenticator = createAuthenticator({
    ...{ askForKeys, ring, cacheEntries: 0, now: () => assumptions.now },
    valueExists: async () => (assumptions.valueExists ? undefined : VALUE_EXISTS_NO_POINT),
    revocations: () => assumptions.revocations,
  });
  const { authenticate, inForce: identifying } = authenticator;
  const { release, collections } = assumptions;
  const known: KnownRelease = { current: release, refresh: () => undefined, settled: () => undefined };
  const clock = (): number => 0;
  const shared: Omit<ExchangeParts, 'limits' | 'creations'> = {
    authenticate,
    identifying,
    bodyRules: bodyRulesOf(config, known),
    policy: { current: policy },
    admit: () => undefined,
    refusals: { refused: () => 0, guessed: () => 0, hold: () => undefined, ended: () => undefined },
    pace: { mustWait: () => false, wait: () => undefined },
    ...(config.gateway.compatibility.create_existing && { createExisting: true as const }),
    now: clock,
    record: () => undefined,
    fault: () => undefined,
  };
  return {
    ...{ state, assumptions, ring, policy, authenticate, unfetched },
    forOne: (own) => ({
      ...shared,
      // Each instance holds room for many accounts: made only where one is needed.
      limits: own?.limits ?? (policy.limits ? new RequestLimits(clock) : NO_LIMITS),
      creations: new Creations(async () => collections ?? UPSTREAM_UNREACHABLE, clock),
      ...own,
    }),
  };
}

/** Parts for questions about classes of requests, before the newest Qdrant that is known. */
export function partsToSurvey(state: State, now: number): OfflineParts {
  return offlineParts(state, assumed({ now, release: QDRANT_VERSION.replace(/^v/, '') }));
}
