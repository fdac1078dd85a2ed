import { type Authenticator, createAuthenticator } from '../identity/authenticate.ts';
import type { AskForKeys } from '../identity/issuers/key-sets.ts';
import { createValueExists } from '../identity/value-exists.ts';
import { turnClock } from '../lifetime/turn-clock.ts';
import type { UpstreamLookup } from '../upstream/lookup.ts';
import type { StateInForce } from './state-in-force.ts';
import { ringOf } from './usable.ts';

/** The authenticator of a process, with the keys of the state in force. */
export function authenticatorOf(inForce: StateInForce, lookup: UpstreamLookup, askForKeys?: AskForKeys): Authenticator {
  const { limits, value_exists: valueExists } = inForce.state.config.gateway;
  return createAuthenticator({
    ring: ringOf(inForce.state, inForce.generation),
    cacheEntries: limits.token_cache_entries,
    now: turnClock.wall,
    askForKeys,
    valueExists: createValueExists({ scroll: lookup.scroll, timeoutMs: valueExists.timeout_ms }),
    revocations: () => inForce.revocations,
  });
}
