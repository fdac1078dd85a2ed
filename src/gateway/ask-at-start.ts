import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { Log } from '../observability/log.ts';
import type { UpstreamLookup } from '../upstream/lookup.ts';
import { WebUi } from '../upstream/web-ui.ts';

/* Questions to upstream before the gateway serves. */

/** Longest wait for upstream's release at the start, in milliseconds; the gateway starts without it, too. */
const VERSION_TIMEOUT_MS = 2000;

/** Qdrant with keys would refuse everything the gateway permits. An unreachable Qdrant does not prevent the start. */
export async function refuseSecuredUpstream(lookup: UpstreamLookup): Promise<void> {
  if (!(await lookup.asksForKey(AbortSignal.timeout(VERSION_TIMEOUT_MS)))) return;
  const message = 'the upstream requires a key: remove the keys from qdrant, the gateway checks them';
  throw new ConfigError([{ place: 'gateway.upstream.rest_url', message }]);
}

/** Presence of upstream's web UI, if the configuration serves it. */
export async function webUiOf({ service }: Config, lookup: UpstreamLookup): Promise<{ readonly present: boolean }> {
  if (!service.enable_static_content) return { present: false };
  const webUi = new WebUi({ ask: lookup.servesWebUi, now: () => performance.now() });
  await webUi.look();
  return webUi;
}

/** Logs upstream's release. */
export async function sayVersion(lookup: UpstreamLookup, log: Log): Promise<void> {
  const version = await lookup.version(AbortSignal.timeout(VERSION_TIMEOUT_MS));
  if (typeof version === 'string') log.info({ version }, 'upstream answers');
  else log.warn({ reason: version.message }, 'upstream does not answer yet; requests are refused until it does');
}
