import { isDeepStrictEqual } from 'node:util';
import type { Principal } from '../identity/principal.ts';
import { type Denial, TENANT_CHANGED } from '../policy/denial.ts';
import type { Exchange, ExchangeParts } from './exchange.ts';
import { type RailedExchange, refusedByRailsNow } from './guard-rails.ts';

/** Milliseconds for which an identification holds while keys and policy stay: after a longer wait its token may have expired or been revoked. */
const FRESH_MS = 1000;

/** An exchange, as far as its caller and the guards go. */
type Identified = Pick<Exchange, 'identifiedBy' | 'identifiedAt' | 'remote' | 'certificate'> & RailedExchange;
type Parts = Pick<ExchangeParts, 'authenticate' | 'identifying' | 'policy' | 'now'>;

/**
 * Does the permit of an exchange still stand? Asked wherever something of it goes upstream after a wait, a question of the gateway's own,
 * too: the caller is identified again if keys or policy have changed since, or if that is long ago.
 *
 * @returns `undefined` = it stands; resolves to a refusal if the caller is no longer known, or has another access or other tenants than
 *   those that have judged the request, or if a guard in force now forbids it
 */
export function stillStands(parts: Parts, exchange: Identified): Promise<Denial | undefined> | undefined {
  const { principal, identifiedBy, identifiedAt } = exchange;
  // An open operation has no principal.
  if (principal === undefined) return undefined;
  if (identifiedBy === parts.identifying() && parts.now() - identifiedAt < FRESH_MS) return undefined;
  // In shadow and learn mode a refusal is not carried out, and there are no tenants.
  if (parts.policy.current.mode !== 'enforce') return undefined;
  return judgedAgain(parts, exchange, principal);
}

async function judgedAgain(parts: Parts, exchange: Identified, principal: Principal): Promise<Denial | undefined> {
  const identity = await parts.authenticate(exchange.headers, undefined, exchange.remote, exchange.certificate);
  if (identity.kind === 'denial') return identity;
  if (!isDeepStrictEqual(judgesOf(identity), judgesOf(principal))) return TENANT_CHANGED;
  const guarded = refusedByRailsNow(exchange, parts.policy.current.rails);
  if (guarded) return guarded;
  // A change during the wait is seen by the next call.
  exchange.identifiedBy = parts.identifying();
  exchange.identifiedAt = parts.now();
  return undefined;
}

function judgesOf({ tenancy, access, bounds }: Principal): unknown {
  return [tenancy, access, bounds];
}
