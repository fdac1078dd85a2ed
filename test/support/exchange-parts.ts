import type { ExchangeParts } from '../../src/exchange/exchange.ts';
import { RefusalPacing } from '../../src/limits/refusal-pacing.ts';
import { PLAIN_POLICY } from '../../src/policy/rules.ts';
import { NO_FEATURES } from '../../src/policy/tenants/rewriting.ts';

/** Keys that never change. */
const KEYS = {};

/** The parts a test has nothing to say about: no rules, always room in the audit, no pacing, the real clock. */
export const PLAIN_PARTS: Pick<
  ExchangeParts,
  'identifying' | 'bodyRules' | 'policy' | 'admit' | 'pace' | 'limits' | 'refusals' | 'creations' | 'now'
> = {
  identifying: () => KEYS,
  bodyRules: {
    nestingGuard: 'below_manage',
    snapshotUrlRecovery: true,
    refusesDotNames: () => false,
    releaseSettled: () => undefined,
    features: () => NO_FEATURES,
  },
  policy: { current: PLAIN_POLICY },
  admit: () => undefined,
  pace: { mustWait: () => false, wait: () => undefined },
  limits: {
    asksForCollection: () => false,
    asksForCost: () => false,
    asksForLength: () => false,
    early: () => undefined,
    take: () => undefined,
    end: () => undefined,
  },
  refusals: new RefusalPacing(
    () => performance.now(),
    (ms, work) => setTimeout(work, ms),
  ),
  creations: {
    existing: async () => undefined,
    current: () => undefined,
    begin: () => undefined,
    end: () => undefined,
  },
  now: () => performance.now(),
};
