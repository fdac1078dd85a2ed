import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { Log } from '../observability/log.ts';
import type { TenantSettings } from '../policy/tenants/settings.ts';
import type { UpstreamLookup } from '../upstream/lookup.ts';
import { WebUi } from '../upstream/web-ui.ts';
import type { KeyWatch } from './key-watch.ts';
import { tenantWarnings } from './tenant-warnings.ts';

/* Questions to upstream before the gateway serves. */

/** Longest wait for upstream's release at the start, in milliseconds; the gateway starts without it, too. */
const VERSION_TIMEOUT_MS = 2000;

/**
 * A Qdrant with keys refuses a gateway without one, so the start is refused. A key that it refuses is noted by `watch`, and
 * may be replaced while the gateway runs. An unreachable Qdrant does not prevent the start.
 */
export async function checkKeyAtStart(hasKey: boolean, lookup: UpstreamLookup, watch: KeyWatch): Promise<void> {
  if (hasKey) {
    await watch.look();
    return;
  }
  if ((await lookup.checkKey(AbortSignal.timeout(VERSION_TIMEOUT_MS))) !== 'refused') return;
  const message =
    'the upstream requires a key: set `gateway.upstream.api_key` (or `api_key_file`) to a key of qdrant that manages everything, or remove the keys from qdrant';
  throw new ConfigError([{ place: 'gateway.upstream.api_key', message }]);
}

/** Presence of upstream's web UI, if the configuration serves it. */
export async function webUiOf({ service }: Config, lookup: UpstreamLookup): Promise<{ readonly present: boolean }> {
  if (!service.enable_static_content) return { present: false };
  const webUi = new WebUi({ ask: lookup.servesWebUi, now: () => performance.now() });
  await webUi.look();
  return webUi;
}

/** Logs upstream's release. `false` = it does not answer. */
export async function sayVersion(lookup: UpstreamLookup, log: Log): Promise<boolean> {
  const version = await lookup.version(AbortSignal.timeout(VERSION_TIMEOUT_MS));
  if (typeof version === 'string') log.info({ version }, 'upstream answers');
  else log.warn({ reason: version.message }, 'upstream does not answer yet; requests are refused until it does');
  return typeof version === 'string' || version.code === 'upstream_key_refused';
}

/** Logs what upstream lacks for the tenants of the policy. */
export async function sayTenants(
  tenants: readonly TenantSettings[] | undefined,
  lookup: UpstreamLookup,
  log: Pick<Log, 'warn'>,
): Promise<void> {
  if (!tenants || tenants.length === 0) return;
  const warnings = await tenantWarnings(tenants, lookup, AbortSignal.timeout(VERSION_TIMEOUT_MS));
  for (const warning of warnings) log.warn(warning);
}
