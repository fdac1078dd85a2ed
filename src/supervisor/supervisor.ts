import { randomBytes } from 'node:crypto';
import type { AdminPort, AdminPortOptions } from '../admin/port.ts';
import { type Clock, machineClock } from '../config/files/clock.ts';
import type { LoadedState, State } from '../config/state.ts';
import { CONSOLE_AWAY } from '../exchange/console-request.ts';
import type { Fleet } from '../gateway/fleet.ts';
import type { Listening } from '../gateway/gateway.ts';
import { checkUsable } from '../gateway/usable.ts';
import { openFleet, workersOf } from '../gateway/workers/open-fleet.ts';
import { takenIds } from '../identity/key-ring.ts';
import { createKeySource, type KeySource } from '../issuers/key-source.ts';
import { createLearnedWriter, type LearnedWriter } from '../learning/write.ts';
import { fileStorage, readFileAhead } from '../named-keys/edit.ts';
import { openSharedKeys, type SharedKeys } from '../named-keys/redis/source.ts';
import { createKeyStore, type KeyPlace } from '../named-keys/store.ts';
import { describeFault, type Log, logOf } from '../observability/log.ts';
import type { Operator } from '../observability/operator.ts';
import { redisAddressOf } from '../redis/address.ts';
import { createRedisConnection, type RedisConnection } from '../redis/connection.ts';
import { revocableIds } from '../revocation/check-entry.ts';
import { revocationSettings } from '../revocation/settings.ts';
import { createRevocationStore, type RevocationStore } from '../revocation/store.ts';
import { type AutomaticCertificate, openAutomaticCertificate } from './automatic-certificate.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { renewDevCertificate, withDevCertificate } from './dev-certificate.ts';
import { createDrainer } from './drain.ts';
import { KeyActs } from './key-acts.ts';
import { createReloader, type Reloader, warnOfMode } from './reload.ts';
import { RevocationActs } from './revocation-acts.ts';
import { openSharedLimits, type SharedLimits } from './shared-limits.ts';
import { rotateTicketKeys } from './ticket-rotation.ts';

const NOT_AUDITED = 'a change was not audited';

/** A running gateway with its operation: reloads, revocations, admin port. */
export interface Supervisor extends Operator {
  /** `admin` = address of the admin port, null without one. */
  start(): Promise<{ readonly rest: Listening; readonly grpc: Listening | null; readonly admin: Listening | null }>;
  /** Not ready from now on, and clients are asked to move; everything else goes on. `stop` follows. */
  depart(): Promise<void>;
  stop(graceMs: number): Promise<void>;
}

export interface SupervisorOptions {
  readonly state: LoadedState;
  /** Reads all files; throws `ConfigError`. */
  readonly load: () => LoadedState;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** The clock of waits for files. */
  readonly clock?: Clock;
}

/** Creates the fleet with reloads, revocations and the admin port. Rejects with `ConfigError`. */
export async function createSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { load, now = Date.now, clock = machineClock } = options;
  const state = await withDevCertificate(options.state, now());
  checkUsable(state);
  const log = logOf(state.config);
  const address = redisAddressOf(state.config);
  const connection = address && createRedisConnection(address);
  const sharedLimits = connection && sharedLimitsOf(state, connection, log);
  const withSecret = consoleSecretFor(state);
  const fleet: Fleet = await openFleet(
    withSecret(state),
    {
      replaced: (pid, restarts) => log.error({ pid, restarts }, 'a worker ended and is replaced'),
      failed: (error) => log.error(describeFault(error), 'a worker did not start; trying again'),
    },
    sharedLimits,
    (issuer) => keySource.ask(issuer),
    { ask: async (request) => (await admin?.askConsole(request)) ?? CONSOLE_AWAY },
  );
  const keySource = createKeySource({
    ...{ issuers: state.policy.issuers ?? [], now, log },
    changed: (sets) => fleet.setKeySets(sets),
  });
  const act = (made: Parameters<Fleet['act']>[0]): void =>
    void fleet.act(made).catch((error: unknown) => log.error(describeFault(error), NOT_AUDITED));
  const keyActs = new KeyActs({ act, now });
  const revocationActs = new RevocationActs({ act, now });
  const sharedKeys = connection && sharedKeysOf(state, connection, { fleet, keyActs, log, now });
  const revocations = createRevocationStore({
    ...{ settings: revocationSettings(state.config), connection },
    ...{ now, log, clock },
    changed: async (next) => {
      await fleet.setRevocations(next);
      const entries = revocations.entries();
      if (entries) revocationActs.inForce(entries);
    },
    knownKeys: () => keyIds(reloads.current()),
  });
  const reloads = createReloader({
    ...{ state, load, log, now, clock },
    ahead: async ({ config: { gateway } }) => {
      if (gateway.keys_file !== null) await readFileAhead(gateway.keys_file);
    },
    prepare: () => revocations.prepare(),
    apply: async (next) => {
      const applied = await fleet.apply(withSecret(next));
      keySource.configure(next.policy.issuers ?? []);
      return applied;
    },
    done: (reload) => {
      if (reload.ok && !sharedKeys) keyActs.inForce(reloads.current().policy.namedKeys ?? [], 'keys_file');
      admin?.reloaded(reload, reloads.current());
      if (reload.ok) certificates.look();
    },
  });
  const certificates = new CertificateWatch({ secrets: () => reloads.current().secrets, log, now });
  const automatic = await openAutomaticCertificate({ state, connection, fleet, reload: reloads.reload, log, now });
  if (!sharedKeys) keyActs.inForce(state.policy.namedKeys ?? [], 'keys_file');
  const learned = createLearnedWriter({
    file: () => learnFile(reloads.current()),
    snapshots: () => fleet.snapshots(),
    log,
  });
  const keys = createKeyStore({
    place: () => sharedKeys?.place ?? keyFile(reloads),
    limits: () => reloads.current().policy.limits ?? [],
    taken: () => takenBy(reloads.current()),
    ...{ now, clock },
  });
  const operator: Operator = {
    reload: reloads.reload,
    revoke: revocationActs.through((request) => revocations.revoke(request)),
    lift: revocationActs.throughLift((request) => revocations.lift(request)),
    revocations: () => revocations.report(),
    changeKey: keyActs.through(keys.change),
    ...createDrainer(fleet),
    sharedKeys,
    issuerKeys: keySource.report,
    sharedLimits: sharedLimits?.report,
    acme: automatic?.report,
  };
  const admin = await adminPortOf({ state, fleet, operator, workers: workersOf(state.config), log, now });
  const stopRotation = rotateTicketKeys(fleet);
  const stopDev = renewDevCertificate({ config: state.config, reload: reloads.reload, log, now });
  const parts = {
    fleet,
    keySource,
    revocations,
    sharedKeys,
    sharedLimits,
    reloads,
    learned,
    admin,
    certificates,
    automatic,
    stopRotation() {
      stopRotation();
      stopDev();
    },
  };
  return {
    ...operator,
    async start() {
      warnOfMode(log, state.config.gateway);
      certificates.begin();
      return await startParts(parts);
    },
    async depart() {
      admin?.drain();
      await fleet.depart();
    },
    stop: (graceMs) => stopParts(parts, graceMs),
  };
}

interface SupervisorParts {
  readonly fleet: Fleet;
  readonly keySource: KeySource;
  readonly revocations: RevocationStore;
  readonly sharedKeys: SharedKeys | undefined;
  readonly sharedLimits: SharedLimits | undefined;
  readonly reloads: Reloader;
  readonly learned: LearnedWriter;
  readonly admin: AdminPort | undefined;
  readonly certificates: CertificateWatch;
  readonly automatic: AutomaticCertificate | undefined;
  readonly stopRotation: () => void;
}

async function startParts(parts: SupervisorParts): ReturnType<Supervisor['start']> {
  const { fleet, keySource, revocations, sharedKeys, sharedLimits, reloads, admin, automatic } = parts;
  try {
    // INVARIANT: revocations and named keys are loaded, or marked as unknown, before the first request.
    await Promise.all([revocations.start(), sharedKeys?.start(), keySource.start()]);
    await automatic?.open();
    const port = await admin?.open();
    const listening = await fleet.start();
    reloads.begin();
    admin?.serving(listening);
    await automatic?.begin();
    return { ...listening, admin: port ?? null };
  } catch (error) {
    await automatic?.close();
    await admin?.close();
    keySource.close();
    sharedKeys?.close();
    await sharedLimits?.close();
    await revocations.close();
    throw error;
  }
}

async function stopParts(parts: SupervisorParts, graceMs: number): Promise<void> {
  const {
    fleet,
    keySource,
    revocations,
    sharedKeys,
    sharedLimits,
    reloads,
    learned,
    admin,
    certificates,
    automatic,
    stopRotation,
  } = parts;
  stopRotation();
  certificates.stop();
  await automatic?.close();
  keySource.close();
  admin?.drain();
  reloads.stop();
  learned.stop();
  // Before and after the stop: ended workers cannot be asked, and the last requests arrive during the stop.
  await Promise.all([learned.write(), sharedKeys?.writeUses()]);
  await fleet.stop(graceMs);
  await learned.write();
  sharedKeys?.close();
  await sharedLimits?.close();
  await revocations.close();
  await admin?.close();
}

/** Adds the secret of the console's tokens to each state, the same one for all processes until the gateway ends. */
function consoleSecretFor({ config }: State): (state: State) => State {
  if (!config.gateway.console.enabled) return (state) => state;
  const consoleSecret = randomBytes(32).toString('base64url');
  return (state) => ({ ...state, secrets: { ...state.secrets, consoleSecret } });
}

/** The limits that are counted in Redis, if they are. */
function sharedLimitsOf(state: State, connection: RedisConnection, log: Log): SharedLimits | undefined {
  if (!state.config.gateway.shared.limits) return undefined;
  return openSharedLimits({ connection, processes: workersOf(state.config), log });
}

interface SharedKeysParts {
  readonly fleet: Fleet;
  readonly keyActs: KeyActs;
  readonly log: Log;
  readonly now: () => number;
}

/** The named keys in Redis, if they are kept there. */
function sharedKeysOf(
  { config: { gateway } }: State,
  connection: RedisConnection,
  { fleet, keyActs, log, now }: SharedKeysParts,
): SharedKeys | undefined {
  if (!gateway.shared.keys) return undefined;
  return openSharedKeys({
    ...{ connection, now, log },
    refreshMs: gateway.revocation.refresh_ms,
    unavailableAfterMs: gateway.shared.keys_unavailable_after_ms,
    changed: async (keys) => {
      await fleet.setNamedKeys(keys);
      if (!keys.unknown) keyActs.inForce(keys.keys, 'keys_redis');
    },
    used: async () => (await fleet.snapshots(['keys'])).flatMap(({ usedKeys = [] }) => usedKeys),
  });
}

function keyFile({ current, reload }: Reloader): KeyPlace | null {
  const file = current().config.gateway.keys_file;
  return file === null ? null : { name: file, storage: fileStorage(file), apply: () => reload('admin') };
}

function learnFile({ config }: State): string | undefined {
  const { mode, learn_file: file } = config.gateway;
  return mode === 'learn' ? file : undefined;
}

/** Loads the admin port only if one is configured: the metrics library takes a tenth of the time of a start. */
async function adminPortOf(options: AdminPortOptions): Promise<AdminPort | undefined> {
  if (options.state.config.gateway.admin.port === null) return undefined;
  const { createAdminPort } = await import('../admin/port.ts');
  return createAdminPort(options);
}

function takenBy({ policy }: State): ReadonlySet<string> {
  return takenIds({ ...policy, certificates: policy.clientCertificates?.id });
}

function keyIds({ secrets, policy }: State): readonly string[] {
  return revocableIds(secrets.apiKey, secrets.altApiKey, policy);
}
