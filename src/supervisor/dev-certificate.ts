import { resolve } from 'node:path';
import { ConfigError, reason } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { type LoadedState, withCertificates } from '../config/state.ts';
import { textList } from '../config/text-list.ts';
import { describeFault, type Log } from '../observability/log.ts';
import type { Reloader } from './reload.ts';

/** Time between two looks at the certificate, in milliseconds. */
const LOOK_MS = 3_600_000;

/** True = the gateway has a CA of its own, for development. */
function isDev({ gateway }: Config): boolean {
  return gateway.certs === 'dev';
}

async function keptBy({ gateway: { dev_certs: dev } }: Config, now: number) {
  const { keepDevCerts } = await import('../dev-certs/kept.ts');
  return await keepDevCerts({ folder: resolve(dev.folder), names: textList(dev.names), days: dev.days, now });
}

/**
 * With `gateway.certs: dev` the state with the development certificate, which is made if it is not there; else the same state.
 * Rejects with `ConfigError` if it cannot be made.
 */
export async function withDevCertificate(state: LoadedState, now: number): Promise<LoadedState> {
  if (!isDev(state.config)) return state;
  try {
    const { made } = await keptBy(state.config, now);
    return made.cert ? withCertificates(state).state : state;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { folder } = state.config.gateway.dev_certs;
    const message = `development certificates cannot be made in \`${folder}\`: ${reason(error)}`;
    throw new ConfigError([{ place: 'gateway.dev_certs.folder', message }]);
  }
}

export interface DevCertificateOptions {
  readonly config: Config;
  readonly reload: Reloader['reload'];
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Default: an hour, in milliseconds. */
  readonly everyMs?: number;
}

/** Renews the development certificate until the function that comes back is called. Without one it does nothing. */
export function renewDevCertificate({
  config,
  reload,
  log,
  now,
  everyMs = LOOK_MS,
}: DevCertificateOptions): () => void {
  if (!isDev(config)) return () => undefined;
  log.warn({ folder: config.gateway.dev_certs.folder }, 'development certificates are in use: not for production');
  const look = async (): Promise<void> => {
    try {
      const { made } = await keptBy(config, now());
      if (made.ca)
        log.warn({ folder: config.gateway.dev_certs.folder }, 'there is a new development CA: clients must trust it');
      if (made.cert) await reload('certificate');
    } catch (error) {
      log.error({ ...describeFault(error) }, 'the development certificate was not renewed');
    }
  };
  const timer = setInterval(() => void look(), everyMs).unref();
  return () => clearInterval(timer);
}
