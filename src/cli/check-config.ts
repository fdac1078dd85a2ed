import { effectiveSettings } from '../config/document.ts';
import { limitsGone } from '../config/keys/carried.ts';
import { type Flags, missingIn, previewConfig } from '../config/load.ts';
import { ConfigError, type Problem } from '../config/problem.ts';
import { previewSecrets } from '../config/secrets.ts';
import type { State } from '../config/state.ts';
import { tenantWarnings } from '../gateway/tenant-warnings.ts';
import { checkUsable, openLookups } from '../gateway/usable.ts';
import { readKeyHash } from '../named-keys/redis/storage.ts';
import { OPERATION_NAMES } from '../operations/names.ts';
import { redisAddressOf } from '../redis/address.ts';
import { describeRedisFault, withRedisLink } from '../redis/link.ts';
import { readRevocationFile } from '../revocation/file-source.ts';
import { certificateFindings, usedCertificates } from './check/certificates.ts';
import { looseFiles, watchedFiles } from './check/file-modes.ts';
import { idleLimits } from './check/idle-limits.ts';
import { endlessCredentials, placedSecrets, weakKeys } from './check/weak-keys.ts';
import { exitCode } from './exit-code.ts';
import type { Report } from './frame/declare.ts';
import { type Output, writeWarnings } from './output.ts';
import { warnUnprotected } from './unprotected.ts';

/** Time limit of the question to upstream, in milliseconds. */
const PATIENCE_MS = 2000;

/** Everything that can be said about a configuration without asking upstream or Redis. */
export interface Gathered {
  /** `undefined` = it cannot be loaded. */
  readonly state: State | undefined;
  /** The configuration file; `undefined` = none. */
  readonly file: string | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

/**
 * `check-config`: loads and checks all files as `serve` does before it listens, tells what is weak, and tries the key for upstream if
 * there is one. Shows `OK` and the effective settings without secrets. With problems it writes the warnings and rejects with
 * `ConfigError`, or with `json` reports both.
 */
export async function checkConfig(flags: Flags, output: Output, now: number, json: boolean): Promise<Report> {
  const { state, problems, warnings: found } = gather(flags, now);
  if (!state || problems.length > 0) {
    if (json) return { text: '', json: { ok: false, problems, warnings: found }, code: exitCode.usage };
    writeWarnings(output, found);
    throw new ConfigError(problems);
  }
  const asked = [
    ...(await keyWarnings(state)),
    ...(await sharedKeyWarnings(state)),
    ...(await tenantsAsked(state)),
    ...(await issuersAsked(state)),
  ];
  const warnings = [...found, ...asked];
  writeWarnings(output, warnings);
  warnUnprotected(output, state.config.gateway);
  const settings = effectiveSettings(state.config);
  return {
    text: `OK\n${settings}${effectivePolicy(state)}`,
    json: { ok: true, problems: [], warnings, settings: shownValues(settings) },
  };
}

/** INVARIANT: whatever fails, the other parts are looked at, so that one run tells everything. @param now milliseconds since 1970 */
export function gather(flags: Flags, now: number): Gathered {
  const preview = previewConfig({ argv: flags, operations: OPERATION_NAMES });
  const { config, policy } = preview;
  const found = config === null ? undefined : previewSecrets(config);
  const problems = [...preview.problems, ...missingIn(preview), ...(found?.problems ?? [])];
  const warnings = [...preview.warnings, ...(found?.warnings ?? [])];
  const secrets = found?.secrets;
  if (config === null) return { state: undefined, file: preview.file, problems, warnings };
  const weak = [
    ...looseFiles(watchedFiles(config, preview.file)),
    ...endlessCredentials(config, policy, preview.placeOf),
    ...idleLimits(policy.limits ?? [], preview.placeOf('gateway.policy_file')),
  ];
  if (secrets) {
    weak.push(...weakKeys(placedSecrets(config, policy, secrets, preview.placeOf)));
    weak.push(...usedCertificates(config, secrets).flatMap((one) => certificateFindings(one, now)));
  }
  warnings.push(...weak.map(({ place, message }) => `${place}: ${message}`));
  const state = secrets ? { config, policy, secrets } : undefined;
  const { file } = config.gateway.revocation;
  if (state) problems.push(...problemsOf(() => checkUsable(state)));
  if (file !== null) problems.push(...problemsOf(() => readRevocationFile(file)));
  return { state, file: preview.file, problems, warnings: [...new Set(warnings)] };
}

function problemsOf(check: () => unknown): readonly Problem[] {
  try {
    check();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

/** The effective settings by path. */
function shownValues(settings: string): object {
  return Object.fromEntries(
    settings
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/: (.*)/s, 2)),
  );
}

/** `serve` starts all the same: the key may be right by then, and can be replaced while the gateway runs. */
async function keyWarnings(state: State): Promise<readonly string[]> {
  const lookups = state.secrets.upstreamKey === null ? undefined : openLookups(state);
  if (!lookups) return [];
  try {
    const verdict = await lookups.lookup.checkKey(AbortSignal.timeout(PATIENCE_MS));
    if (verdict === 'accepted') return [];
    return verdict === 'refused'
      ? ['gateway.upstream.api_key: upstream refuses the key: it must be one of its keys that manage everything']
      : [`gateway.upstream.api_key: the key was not tried: ${verdict.message}`];
  } finally {
    await lookups.close();
  }
}

/** Releases and indexes that the tenants of the policy need. */
async function tenantsAsked(state: State): Promise<readonly string[]> {
  const { tenants = [] } = state.policy;
  const lookups = tenants.length === 0 ? undefined : openLookups(state);
  if (!lookups) return [];
  try {
    return await tenantWarnings(tenants, lookups.lookup, AbortSignal.timeout(PATIENCE_MS));
  } finally {
    await lookups.close();
  }
}

/** Fetches the key sets of issuers once. `serve` starts all the same, and refuses tokens of an issuer until it has its keys. */
async function issuersAsked({ policy: { issuers = [] } }: State): Promise<readonly string[]> {
  const asked = issuers.map(async ({ id, issuer, source }) => {
    if (source.from === 'file') return [];
    const { fetchKeys } = await import('../issuers/fetch-keys.ts');
    const fault = await fetchKeys(source, issuer).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : 'no reason'),
    );
    return fault === undefined
      ? []
      : [`the keys of the issuer \`${id}\` were not fetched from ${source.url}: ${fault}`];
  });
  return (await Promise.all(asked)).flat();
}

/** `serve` starts all the same, and refuses named keys until Redis answers. */
async function sharedKeyWarnings({ config, policy }: State): Promise<readonly string[]> {
  const address = config.gateway.shared.keys ? redisAddressOf(config) : undefined;
  if (!address) return [];
  const place = 'gateway.shared.keys';
  try {
    const { records } = await withRedisLink(address, PATIENCE_MS, (link) =>
      readKeyHash(link, address.prefix, Date.now()),
    );
    return [...records].flatMap(([id, { entry }]) => {
      if (!entry) return `${place}: the record \`${id}\` in redis is damaged: this key is refused`;
      const gone = limitsGone(entry.limits, policy.limits ?? []);
      return gone.map((problem) => `${place}: the key \`${id}\` is refused: ${problem}`);
    });
  } catch (error) {
    return [`${place}: not read (${describeRedisFault(error)}): named keys are refused until redis can be read`];
  }
}

/** Signing keys, issuers, rules and entries of tenants by id, and the number of named keys; empty without any. */
function effectivePolicy({ policy: { signingKeys, issuers = [], rules, namedKeys, tenants = [] } }: State): string {
  const keys = signingKeys.map(({ id }) => `signing key: ${id}\n`);
  const providers = issuers.map(({ id, mappings }) => `issuer: ${id} (mappings: ${mappings.length})\n`);
  const shown = rules.map(({ id, mode }) => `rule: ${id} (${mode})\n`);
  const named = namedKeys === undefined ? [] : [`named keys: ${namedKeys.length}\n`];
  const bound = tenants.map(({ id }) => `tenants: ${id}\n`);
  return [...keys, ...providers, ...named, ...shown, ...bound].join('');
}
