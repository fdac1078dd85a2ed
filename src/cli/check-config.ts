import { effectiveSettings } from '../config/document.ts';
import { limitsGone } from '../config/keys/carried.ts';
import type { Flags } from '../config/load.ts';
import { loadState, type State } from '../config/state.ts';
import { tenantWarnings } from '../gateway/tenant-warnings.ts';
import { checkUsable, openLookups } from '../gateway/usable.ts';
import { readKeyHash } from '../named-keys/redis/storage.ts';
import { OPERATION_NAMES } from '../operations/names.ts';
import { redisAddressOf } from '../redis/address.ts';
import { describeRedisFault, withRedisLink } from '../redis/link.ts';
import { readRevocationFile } from '../revocation/file-source.ts';
import type { Report } from './frame/declare.ts';
import { type Output, writeWarnings } from './output.ts';
import { warnUnprotected } from './unprotected.ts';

/** Time limit of the question to upstream, in milliseconds. */
const PATIENCE_MS = 2000;

/**
 * `check-config`: loads and checks all files as `serve` does before it listens, and tries the key for upstream if there is
 * one. Prints `OK` and the effective settings without secrets. Rejects with `ConfigError` with every problem.
 */
export async function checkConfig(flags: Flags, output: Output): Promise<Report> {
  const state = loadState({ argv: flags, operations: OPERATION_NAMES });
  checkUsable(state);
  const { file } = state.config.gateway.revocation;
  if (file !== null) readRevocationFile(file);
  const asked = [...(await keyWarnings(state)), ...(await sharedKeyWarnings(state)), ...(await tenantsAsked(state))];
  const warnings = [...state.warnings, ...asked];
  writeWarnings(output, warnings);
  warnUnprotected(output, state.config.gateway);
  const settings = effectiveSettings(state.config);
  return {
    text: `OK\n${settings}${effectivePolicy(state)}`,
    json: { ok: true, warnings, settings: shownValues(settings) },
  };
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

/** `serve` starts all the same, and refuses named keys until Redis answers. */
async function sharedKeyWarnings({ config, policy }: State): Promise<readonly string[]> {
  const address = config.gateway.shared.keys ? redisAddressOf(config) : undefined;
  if (!address) return [];
  const place = 'gateway.shared.keys';
  try {
    const { records } = await withRedisLink(address, PATIENCE_MS, (link) => readKeyHash(link, address.prefix));
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
  const providers = issuers.map(({ id, mappings }) => `issuer: ${id} (${mappings.length} mappings)\n`);
  const shown = rules.map(({ id, mode }) => `rule: ${id} (${mode})\n`);
  const named = namedKeys === undefined ? [] : [`named keys: ${namedKeys.length}\n`];
  const bound = tenants.map(({ id }) => `tenants: ${id}\n`);
  return [...keys, ...providers, ...named, ...shown, ...bound].join('');
}
