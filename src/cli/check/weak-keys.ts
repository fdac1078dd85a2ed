import type { PolicySettings } from '../../config/policy/file.ts';
import type { Problem } from '../../config/problem.ts';
import type { Config } from '../../config/schema.ts';
import { KEY_NAMES, type Secrets } from '../../config/secrets.ts';

/** A key of fewer characters can be guessed. */
const SHORTEST = 16;
const SAMPLES =
  /^(?:change-?me|(?:your|my|some|test|secret)[-_ ]?(?:api)?[-_ ]?key\d*|secret|password|qdrant|test|admin)$/i;

/** A secret and the place where it was set. */
export interface PlacedSecret {
  readonly place: string;
  readonly value: string;
}

/** The weakness of a secret as a text that does not contain it; `undefined` = none is seen. */
export function weaknessOf(value: string): string | undefined {
  if (/^\s*(?:\$\{[^}]*\}|\$\w+|\$\([^)]*\)|\{\{.*\}\}|%\w+%|<[^>]*>)\s*$/s.test(value)) {
    return 'the key is the text of a reference, such as `$NAME`, and not its value: nothing has replaced it';
  }
  if (/^(["'`]).*\1$/s.test(value)) return 'the key begins and ends with a quote, which belongs to the key';
  if (SAMPLES.test(value)) return 'the key is a sample of documents, which attackers try first';
  if (value.length < SHORTEST) return `the key has fewer than ${SHORTEST} characters: it can be guessed`;
  if (new Set(value).size < 5) return 'the key has fewer than 5 different characters: it can be guessed';
  return undefined;
}

/** All secrets of a configuration that a caller may present, with their places. */
export function placedSecrets(
  config: Config,
  { signingKeys }: PolicySettings,
  secrets: Secrets,
  placeOf: (path: string) => string,
): readonly PlacedSecret[] {
  const { service, gateway } = config;
  const where = (path: string, isInline: boolean) => placeOf(isInline ? path : `${path}_file`);
  const values = { api_key: secrets.apiKey, alt_api_key: secrets.altApiKey, read_only_api_key: secrets.readOnlyApiKey };
  const all: readonly (readonly [place: string, value: string | null])[] = [
    ...KEY_NAMES.map((name) => [where(`service.${name}`, service[name] !== null), values[name]] as const),
    [where('gateway.admin.token', gateway.admin.token !== null), secrets.adminToken],
    [where('gateway.upstream.api_key', gateway.upstream.api_key !== null), secrets.upstreamKey],
    ...signingKeys.map(({ id, secret }) => [`signing key \`${id}\``, secret] as const),
  ];
  return all.flatMap(([place, value]) => (value === null ? [] : [{ place, value }]));
}

/** One finding for each weak secret. */
export function weakKeys(secrets: readonly PlacedSecret[]): readonly Problem[] {
  return secrets.flatMap(({ place, value }) => {
    const message = weaknessOf(value);
    return message === undefined ? [] : [{ place, message }];
  });
}

/** Credentials without an end that a gateway accepts, or has. */
export function endlessCredentials(
  config: Config,
  { tokenRules, namedKeys = [] }: PolicySettings,
  placeOf: (path: string) => string,
): readonly Problem[] {
  const found: Problem[] = [];
  if (config.service.jwt_rbac === true && !tokenRules?.requireExp && tokenRules?.maxLifetime === undefined) {
    const message =
      'tokens without an end (`exp`) are accepted: `require_exp: true` in `tokens` of the policy file refuses them';
    found.push({ place: placeOf('service.jwt_rbac'), message });
  }
  const endless = namedKeys.filter(({ expiresAt }) => expiresAt === undefined).map(({ id }) => `\`${id}\``);
  if (endless.length > 0) {
    const message = `${endless.length} named keys never end: ${endless.slice(0, 5).join(', ')}${endless.length > 5 ? ', ...' : ''}`;
    found.push({ place: placeOf('gateway.keys_file'), message });
  }
  return found;
}
