import type { TokenExchangeSettings } from '../../policy/minting/settings.ts';
import { HS256_KEY_BYTES } from '../rules.ts';
import type { Config } from '../schema.ts';
import type { Keys } from '../secrets.ts';
import { issueProblems, type Reading } from './entries.ts';
import type { PolicyEntry, RawSigningKey } from './schema.ts';
import { tokenExchangeSchema } from './token-exchange-schema.ts';

/* The section `token_exchange` of the policy file, and the signing keys that belong to it. */

/** Reads the section; `undefined` = there is none, or it is invalid. */
export function readTokenExchange({ tree, problems }: Reading, section: unknown): TokenExchangeSettings | undefined {
  if (section === undefined) return undefined;
  const parsed = tokenExchangeSchema.safeParse(section);
  for (const issue of parsed.error?.issues ?? []) {
    problems.push(...issueProblems(tree, ['token_exchange'], issue, tokenExchangeSchema));
  }
  const own = parsed.data;
  return (
    own &&
    Object.freeze({
      ...{ lifetime: own.lifetime, perMinute: own.per_minute, restPort: own.rest_port, keys: Object.freeze(own.keys) },
    })
  );
}

/** Settings of an exchange of tokens, and the data to check them against. */
export interface ExchangeChecks {
  readonly settings: TokenExchangeSettings | undefined;
  readonly signingKeys: readonly PolicyEntry<RawSigningKey>[];
  /** The secrets that could be read. */
  readonly secrets: readonly { readonly id: string; readonly secret: string }[];
  readonly keys: Keys;
  readonly config: Config;
  /** `tokens.min_secret_bytes`. */
  readonly minSecretBytes: number;
}

/** Problems of the section and its keys beyond the schema. */
export function exchangeProblems({ tree, problems }: Reading, checks: ExchangeChecks): void {
  const { settings, signingKeys, config } = checks;
  const report = (path: readonly (string | number)[], message: string): void => {
    problems.push({ place: tree.placeOf(path), message });
  };
  const own = signingKeys.filter(({ entry }) => entry?.exchange);
  for (const { entry, at } of own)
    for (const message of keyProblems(checks, entry?.id)) report(['signing_keys', at], message);
  if (!settings) return;
  const section = ['token_exchange'];
  if (own.length === 0) report(section, '`token_exchange` needs a key in `signing_keys` with `exchange: true`');
  if (config.service.jwt_rbac !== true) report(section, '`token_exchange` needs `service.jwt_rbac`: tokens are off');
  if (!settings.restPort && config.gateway.admin.port === null)
    report(section, 'no port answers: set `rest_port`, or `gateway.admin.port`');
}

function keyProblems({ secrets, keys, minSecretBytes }: ExchangeChecks, id: string | undefined): string[] {
  const secret = secrets.find((one) => one.id === id)?.secret;
  if (secret === undefined) return [];
  const least = Math.max(HS256_KEY_BYTES, minSecretBytes);
  const short = Buffer.byteLength(secret) < least ? [`a key with \`exchange\` needs a secret of ${least} bytes`] : [];
  const same = (['api_key', 'alt_api_key'] as const).filter((name) => keys[name] === secret);
  return [
    ...short,
    ...same.map(
      (name) => `the same secret as \`service.${name}\`: tokens of clients and minted ones could not be told apart`,
    ),
  ];
}
