import type { PolicySettings } from '../../config/policy/file.ts';
import type { TokenExchangeSettings } from '../../policy/minting/settings.ts';
import type { TokenRules } from '../../policy/token-rules.ts';
import { changedParts, type Part, type Parts, type SourceChange, sourceChanges } from './sources.ts';

/*
 * Settings that are compared as such, beside the verdicts. A verdict is about one token and one key; these decide which tokens
 * and keys there are. Secrets are never told: only that there is another one.
 */

/** Every changed setting of the parts that are compared as such. */
export function changedSettings(old: PolicySettings, next: PolicySettings): readonly SourceChange[] {
  return [...changedParts(partsOf(old, old), partsOf(next, old)), ...sourceChanges(old, next)];
}

/** The names of the settings in the file. */
const TOKEN_RULES: Readonly<Record<keyof TokenRules, string>> = {
  patterns: 'token_patterns',
  requireExp: 'require_exp',
  maxLifetime: 'max_lifetime',
  requireAccess: 'require_access',
  refuseManage: 'refuse_manage',
  minSecretBytes: 'min_secret_bytes',
};
const EXCHANGE: Readonly<Record<keyof TokenExchangeSettings, string>> = {
  lifetime: 'lifetime',
  perMinute: 'per_minute',
  restPort: 'rest_port',
  keys: 'keys',
};

function partsOf({ tokenRules, tokenExchange, signingKeys }: PolicySettings, old: PolicySettings): Parts {
  return new Map<string, Part>([
    ['tokens', renamed(tokenRules, TOKEN_RULES)],
    ...(tokenExchange ? [['token exchange', renamed(tokenExchange, EXCHANGE)] as const] : []),
    // The first of two with one secret gives its id.
    ['signing keys', { 'order of keys': signingKeys.map(({ id }) => id) }],
    ...signingKeys.map(({ id, secret, exchange = false }): readonly [string, Part] => {
      const before = old.signingKeys.find((one) => one.id === id);
      const isOther = before !== undefined && before.secret !== secret;
      return [`signing key ${id}`, { secret: isOther ? 'another secret' : 'a secret', exchange }];
    }),
  ]);
}

function renamed<T extends object>(settings: T, names: Readonly<Record<keyof T, string>>): Part {
  return Object.fromEntries((Object.keys(names) as (keyof T)[]).map((name) => [names[name], settings[name]]));
}
