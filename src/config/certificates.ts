import { ConfigError } from './problem.ts';
import type { Config } from './schema.ts';
import { readTls, type TlsMaterial } from './secrets.ts';

/** Node's timers overflow beyond. */
const MAX_TIMER_MS = 2_147_483_647;

/** Where the outcome of a reading goes. */
export interface CertificateWatch {
  readonly changed: (tls: TlsMaterial) => void;
  readonly warn: (warning: string) => void;
  /** The files could not be used; what is in force stays. `problems` name files and places, never their content. */
  readonly failed: (problems: readonly string[]) => void;
}

/**
 * Reads the certificate files again every `tls.cert_ttl` seconds. Upstream: the same setting, there for REST only and at
 * the next handshake.
 *
 * @returns ends it
 */
export function watchCertificates(config: Config, watch: CertificateWatch): () => void {
  const seconds = config.tls.cert_ttl;
  if (!config.service.enable_tls || seconds === 0) return () => undefined;
  const read = (): void => {
    try {
      const { tls, warnings } = readTls(config);
      if (tls) watch.changed(tls);
      for (const warning of warnings) watch.warn(warning);
    } catch (error) {
      watch.failed(error instanceof ConfigError ? error.problems.map(({ message }) => message) : []);
    }
  };
  const timer = setInterval(read, Math.min(seconds * 1000, MAX_TIMER_MS));
  timer.unref();
  return () => clearInterval(timer);
}
