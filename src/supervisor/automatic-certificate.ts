import type { Challenge } from '../acme/order.ts';
import type { AcmeReport } from '../acme/report.ts';
import { type AcmeSettings, acmeSettingsOf } from '../acme/settings.ts';
import type { State } from '../config/state.ts';
import type { Fleet } from '../gateway/fleet.ts';
import type { Log } from '../observability/log.ts';
import type { RedisConnection } from '../redis/connection.ts';
import type { Reloader } from './reload.ts';

/** The certificate that a running gateway gets by ACME. */
export interface AutomaticCertificate {
  /** Opens the port of http-01, if it is used. Rejects if the port is not available. */
  readonly open: () => Promise<void>;
  /** Begins to get and renew it. Call it once the listeners are up. Never rejects. */
  readonly begin: () => Promise<void>;
  readonly report: () => AcmeReport;
  readonly close: () => Promise<void>;
}

export interface AutomaticCertificateOptions {
  readonly state: State;
  /** Used if the certificate is shared through Redis. INVARIANT: not started yet. */
  readonly connection: RedisConnection | undefined;
  readonly fleet: Pick<Fleet, 'setValidations'>;
  readonly reload: Reloader['reload'];
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** `undefined` = the certificate is the operator's. Rejects with `ConfigError`. */
export async function openAutomaticCertificate(
  options: AutomaticCertificateOptions,
): Promise<AutomaticCertificate | undefined> {
  const settings = acmeSettingsOf(options.state.config);
  if (!settings) return undefined;
  // Loaded only if it is used: the library for certificates is large.
  const [{ createRenewer }, { AcmeFault }, { openHttpPort }, { validationCertificate }] = await Promise.all([
    import('../acme/renewer.ts'),
    import('../acme/fault.ts'),
    import('../acme/http-port.ts'),
    import('../acme/x509.ts'),
  ]);
  const { fleet, reload, log, now } = options;
  let answers: ReadonlyMap<string, string> = new Map();
  let port: Awaited<ReturnType<typeof openHttpPort>> | undefined;
  const show = async (challenges: readonly Challenge[]): Promise<void> => {
    const of = (type: Challenge['type']) => challenges.filter((one) => one.type === type);
    answers = new Map(of('http-01').map(({ token, keyAuthorization }) => [token, keyAuthorization] as const));
    const proofs = of('tls-alpn-01').map((one) => validationCertificate(one.domain, one.keyAuthorization, now()));
    await fleet.setValidations(await Promise.all(proofs));
  };
  const renewer = createRenewer({
    ...{ settings, show, log, now },
    store: await storeOf(settings, options.connection, () => renewer.wake()),
    async installed() {
      const done = await reload('certificate');
      if (!done.ok) throw new AcmeFault('certificate', `it cannot be put in force: ${done.problems.join('; ')}`);
    },
  });
  return {
    async open() {
      if (settings.challenge === 'http-01') port = await openHttpPort({ ...settings.http, answers: () => answers });
      if (port) log.info({ port: port.address.port }, 'the port for http-01 is open');
    },
    begin: renewer.start,
    report: renewer.report,
    async close() {
      await renewer.close();
      await port?.close();
    },
  };
}

async function storeOf(settings: AcmeSettings, connection: RedisConnection | undefined, changed: () => void) {
  if (settings.sharedSecret && connection) {
    const { createRedisStore } = await import('../acme/redis-store.ts');
    return createRedisStore({ connection, secret: settings.sharedSecret, changed });
  }
  const { createFolderStore } = await import('../acme/folder-store.ts');
  return createFolderStore({ folder: settings.folder });
}
