import t from 'tap';
import { requestEvent } from '../../src/audit/request-event.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { GLOBAL_MANAGE } from '../../src/policy/access.ts';
import {
  collectionFrozen,
  type Denial,
  KEY_EXPIRED,
  MISSING_CREDENTIAL,
  notListed,
  REASON_REQUIRED,
  REVOKED,
  rateLimited,
} from '../../src/policy/denial.ts';
import { exchangeOf } from './fixture.ts';

/* Which event a request has, where several could apply; each is produced by a running gateway in `test/e2e/audit-events.test.ts`. */

const PLAIN: Principal = {
  ...({ kind: 'principal', access: GLOBAL_MANAGE, bounds: undefined } as const),
  ...({ authType: 'ApiKey', keyId: 'k', subject: undefined } as const),
};
const GLASS: Principal = { ...PLAIN, breakGlass: true };
const FULL = rateLimited('limit l', { limit: 'l', most: 1, left: 0, retryAfter: 1 });
const FROZEN = collectionFrozen('ice');
const shadowed = (denial: Denial, more: { rule?: string; guard?: true } = {}) => ({
  shadowed: { rule: 'r', denial, ...more },
});

type Case = readonly [
  name: string,
  exchange: Partial<Exchange>,
  denied: Denial | undefined,
  rule: string | undefined,
  event: string | undefined,
];

const CASES: readonly Case[] = [
  ['a permit', { principal: PLAIN }, undefined, undefined, undefined],
  ['no credential', {}, MISSING_CREDENTIAL, undefined, undefined],
  ['an access that refuses', { principal: PLAIN }, notListed('a'), undefined, undefined],
  ['a rule that refuses', { principal: PLAIN }, notListed('a'), 'r', 'rule_hit'],
  ['a guard that refuses', { principal: PLAIN, rail: 'g' }, FROZEN, 'g', 'guard_hit'],
  ['a limit that refuses', { principal: PLAIN }, FULL, 'l', 'limit_hit'],
  [
    'a limit behind a guard in shadow',
    { principal: PLAIN, ...shadowed(FROZEN, { guard: true }) },
    FULL,
    'l',
    'limit_hit',
  ],
  ['an expired key', {}, KEY_EXPIRED, undefined, 'key_used_after_expiry'],
  [
    'an expired key that the policy in shadow lets pass',
    shadowed(KEY_EXPIRED, { rule: 'policy' }),
    undefined,
    undefined,
    'key_used_after_expiry',
  ],
  ['a revoked token', {}, REVOKED, undefined, 'revoked_token_used'],
  ['a break-glass key', { principal: GLASS }, undefined, undefined, 'break_glass_used'],
  ['a break-glass key without a reason', { principal: GLASS }, REASON_REQUIRED, undefined, 'break_glass_refused'],
  ['a break-glass key with too little access', { principal: GLASS }, notListed('a'), undefined, 'break_glass_refused'],
  ['a break-glass key at a guard', { principal: GLASS, rail: 'g' }, FROZEN, 'g', 'guard_hit'],
  ['a break-glass key over a limit', { principal: GLASS }, FULL, 'l', 'limit_hit'],
  [
    'a break-glass key at a guard in shadow',
    { principal: GLASS, ...shadowed(FROZEN, { guard: true }) },
    undefined,
    undefined,
    'break_glass_used',
  ],
  [
    'a guard in shadow',
    { principal: PLAIN, ...shadowed(FROZEN, { guard: true }) },
    undefined,
    undefined,
    'guard_hit_in_shadow',
  ],
  ['a limit in shadow', { principal: PLAIN, ...shadowed(FULL) }, undefined, undefined, 'limit_hit_in_shadow'],
  ['a rule in shadow', { principal: PLAIN, ...shadowed(notListed('a')) }, undefined, undefined, 'rule_hit_in_shadow'],
  [
    'a guard of a policy in shadow',
    { principal: PLAIN, rail: 'g', ...shadowed(FROZEN, { rule: 'policy' }) },
    undefined,
    undefined,
    'guard_hit_in_shadow',
  ],
  [
    'an access of a policy in shadow',
    { principal: PLAIN, ...shadowed(notListed('a'), { rule: 'policy' }) },
    undefined,
    undefined,
    undefined,
  ],
];

t.test('the event of a request', async (test) => {
  for (const [name, exchange, denied, rule, event] of CASES) {
    test.equal(requestEvent(exchangeOf(exchange), denied, rule), event, name);
  }
});
