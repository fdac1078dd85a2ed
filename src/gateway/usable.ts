import { accessSync, constants, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import { acmeSettingsOf } from '../acme/settings.ts';
import { isAudited } from '../audit/audit.ts';
import { ConfigError, type Problem, reason } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { Secrets, TlsMaterial } from '../config/secrets.ts';
import { usesAcme } from '../config/sections/certificates.ts';
import type { State } from '../config/state.ts';
import { anyRestAddress } from '../config/upstream/rules.ts';
import { CertificateTrust } from '../identity/certificates/trust.ts';
import { certificateExampleProblems, exampleProblems } from '../identity/issuers/examples.ts';
import { createKeyRing, type KeyRing, namedKeysOf } from '../identity/key-ring.ts';
import type { NamedKeys } from '../identity/named-keys.ts';
import { type CheckValueExists, createValueExists } from '../identity/value-exists.ts';
import { clientNetworkOf } from '../limits/peer-address.ts';
import { AddressRanges } from '../net/addresses.ts';
import type { CertificateUse } from '../policy/mapping/certificates.ts';
import type { MappingSettings } from '../policy/mapping/mapper.ts';
import type { NamedKeysInForce } from '../policy/named-key.ts';
import { policyOf } from '../policy/settings.ts';
import { tenantsOf } from '../policy/tenants/settings.ts';
import { secureContext, tryContext } from '../rest/tls/listener-tls.ts';
import { type RevocationSettings, revocationSettings } from '../revocation/settings.ts';
import { createRestUpstream } from '../upstream/http.ts';
import { createUpstreamLookup, type UpstreamLookup } from '../upstream/lookup.ts';
import { UnreadableDer } from '../x509/der.ts';
import { credentialOf, grpcTls, restTls, restUpstreamOptions } from './listener-options.ts';
import { unixProblems } from './unix-listeners.ts';

/*
 * The parts of a state that can fail, built before it is in force. A state that `check-config` accepts can be served.
 */

/** The parts of a ring beside a state. */
export interface RingSources {
  /** The named keys of Redis; `undefined` = not known yet, if they are kept there. */
  readonly shared?: NamedKeysInForce | undefined;
  /** Client certificates as the listeners take them. Default: those of the state. */
  readonly certificates?: {
    readonly mode: Config['gateway']['client_certificates']['mode'];
    readonly trust: CertificateTrust | undefined;
  };
}

/** The key ring of a state, with its rules. @param generation number of the state */
export function ringOf(state: State, generation: number, { shared, certificates }: RingSources = {}): KeyRing {
  const { mode } = state.config.gateway.client_certificates;
  const taken = certificates ?? { mode, trust: trustOf(state.config, state.secrets.tls) };
  const sources =
    taken.mode === 'off' || !taken.trust
      ? undefined
      : { use: certificateUse(taken.mode, state.policy), trust: taken.trust };
  return createKeyRing({ ...ringKeys(state, shared), certificates: sources }, generation);
}

/** The key ring for questions without a connection: keys and tokens count as beside a certificate that narrows nothing. */
export function ringOffline(state: State): KeyRing {
  const ring = ringOf(state, 1);
  // Without the files of TLS there is no trust, and the ring does not know of certificates.
  return {
    ...ring,
    certificates: undefined,
    open: ring.open && state.config.gateway.client_certificates.mode === 'off',
  };
}

/** The trust in client certificates; `undefined` = they are no identities. Throws `ConfigError` with the place. */
export function trustOf(config: Config, tls: TlsMaterial | null): CertificateTrust | undefined {
  if (!tls?.identities) return undefined;
  try {
    return new CertificateTrust(tls.identities);
  } catch (error) {
    const { crl } = config.gateway.client_certificates;
    const [place, file] = crl === null ? ['tls.ca_cert', config.tls.ca_cert] : ['gateway.client_certificates.crl', crl];
    const why = error instanceof UnreadableDer ? error.message : opensslReason(error);
    throw new ConfigError([{ place, message: `\`${file}\` cannot be used: ${why}` }]);
  }
}

/** Id of the holders where the policy does not say. */
const CERTIFICATE_ID = 'client_certificate';
/** Without mappings a certificate beside a key narrows nothing. */
const NARROWS_NOTHING: readonly MappingSettings[] = Object.freeze([Object.freeze({ id: 'any', access: 'm' })]);

/** The use of client certificates by a state whose mode is not `off`. */
export function certificateUse(mode: CertificateUse['mode'], { clientCertificates }: State['policy']): CertificateUse {
  const settings = clientCertificates ?? { id: CERTIFICATE_ID, mappings: mode === 'beside_key' ? NARROWS_NOTHING : [] };
  return { ...settings, mode };
}

/** The named keys of a state, for a ring that stays otherwise. */
export function namedKeysIn(state: State, shared: NamedKeysInForce): NamedKeys | undefined {
  const keys = ringKeys(state, shared);
  return namedKeysOf(keys, keys.rules);
}

const NOT_READ: NamedKeysInForce = { keys: [], unknown: true };

function ringKeys({ config, secrets, policy }: State, shared: NamedKeysInForce = NOT_READ) {
  const { signingKeys, rules, tokenRules, limits, issuers } = policy;
  const inRedis = config.gateway.shared.keys;
  return {
    ...secrets,
    jwtRbac: config.service.jwt_rbac,
    ...{ signingKeys, issuers, rules: policyOf(config.gateway.mode, rules).rules, tokenRules },
    tenants: tenantsOf(policy.tenants),
    exchangedKeys: policy.tokenExchange?.keys,
    namedKeys: inRedis ? shared.keys : policy.namedKeys,
    namedKeysUnknown: inRedis && shared.unknown,
    limitIds: new Set(limits?.map(({ id }) => id)),
    ...{ rangesOf, clientOf: clientNetworkOf },
  };
}

function rangesOf(entries: readonly string[]): AddressRanges {
  return new AddressRanges(entries);
}

/** Questions to upstream for one command. */
export interface Lookups {
  readonly valueExists: CheckValueExists;
  readonly lookup: UpstreamLookup;
  readonly close: () => Promise<void>;
}

/** @param address default: one that is configured. Returns `undefined` if there is none, or only DNS knows it. */
export function openLookups(state: State, address = anyRestAddress(state.config)): Lookups | undefined {
  const { value_exists: valueExists } = state.config.gateway;
  if (address === null) return undefined;
  const rest = createRestUpstream(restUpstreamOptions(() => state, 1, address));
  const lookup = createUpstreamLookup(
    rest,
    credentialOf(() => state),
  );
  return {
    valueExists: createValueExists({ scroll: lookup.scroll, timeoutMs: valueExists.timeout_ms }),
    lookup,
    close: () => rest.destroy(),
  };
}

/** Throws `ConfigError`, with option and file, if a gateway could not start with this state. Changes nothing. */
export function checkUsable(state: State): void {
  const { config, secrets } = state;
  const { problems, attempt } = collector();
  attempt('configuration', () => ringOf(state, 1));
  const { rules, guards, limits } = state.policy;
  attempt('gateway.policy_file', () => checkIssuers(state));
  attempt('gateway.policy_file', () => policyOf(config.gateway.mode, rules, guards, limits));
  problems.push(...contextProblems(config, secrets.tls, secrets));
  attempt('gateway.revocation', () => problems.push(...redisCaProblems(config, revocationSettings(config))));
  attempt('gateway.acme', () => acmeSettingsOf(config));
  problems.push(...folderProblems(state));
  problems.push(...auditProblems(config), ...hostProblems(config), ...unixProblems(config));
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Throws `ConfigError`, with the place in the policy file, if an issuer cannot be used or an example is not met. */
export function checkIssuers({ policy: { issuers = [], clientCertificates } }: State): void {
  const problems = issuers.flatMap((issuer) => {
    const { id, source } = issuer;
    const ca = source.from === 'file' ? undefined : source.ca;
    const place = 'gateway.policy_file';
    const unfit = ca === undefined ? undefined : contextProblem(place, `the CA of the issuer \`${id}\``, { ca });
    return [...exampleProblems(issuer), ...(unfit ? [unfit] : [])];
  });
  if (clientCertificates) problems.push(...certificateExampleProblems(clientCertificates));
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Throws `ConfigError`, with option and file, if TLS contexts cannot be created from these. */
export function tryContexts(config: Config, tls: TlsMaterial | null, secrets: UpstreamSecrets): void {
  const problems = contextProblems(config, tls, secrets);
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Addresses that no machine can listen on. */
function hostProblems({ service, gateway }: Config): Problem[] {
  const hosts = [
    ['service.host', service.host],
    ['gateway.admin.host', gateway.admin.host],
  ] as const;
  return hosts.flatMap(([place, host]) =>
    /[\s[\]/]/.test(host)
      ? [{ place, message: `\`${host}\` is not an address; write an IPv6 address without brackets` }]
      : [],
  );
}

function collector() {
  const problems: Problem[] = [];
  const attempt = (place: string, make: () => void): void => {
    try {
      make();
    } catch (error) {
      if (error instanceof ConfigError) problems.push(...error.problems);
      else problems.push({ place, message: `cannot be used: ${reason(error)}` });
    }
  };
  return { problems, attempt };
}

type UpstreamSecrets = Pick<Secrets, 'upstreamCa' | 'upstreamIdentity'>;

function contextProblems(
  config: Config,
  tls: TlsMaterial | null,
  { upstreamCa, upstreamIdentity }: UpstreamSecrets,
): Problem[] {
  const problems: (Problem | undefined)[] = [];
  if (tls) {
    const { cert, key, ca_cert: ca } = config.tls;
    problems.push(
      contextProblem('tls.cert', `the certificate \`${cert}\``, {
        ...secureContext(restTls(tls)),
        key: undefined,
        ca: undefined,
      }) ??
        contextProblem('tls.key', `the private key \`${key}\``, { ...secureContext(restTls(tls)), ca: undefined }) ??
        contextProblem('tls.ca_cert', `the client CA \`${ca}\``, secureContext(restTls(tls))) ??
        contextProblem('tls.ca_cert', `the client CA \`${ca}\``, grpcTls(tls)),
    );
  }
  if (upstreamCa) {
    const place = 'gateway.upstream.tls_ca';
    problems.push(contextProblem(place, `the upstream CA \`${config.gateway.upstream.tls_ca}\``, { ca: upstreamCa }));
  }
  if (upstreamIdentity) {
    const what = `the certificate \`${config.gateway.upstream.tls_cert}\` with its key`;
    problems.push(contextProblem('gateway.upstream.tls_cert', what, upstreamIdentity));
  }
  return problems.filter((problem) => problem !== undefined);
}

function contextProblem(place: string, what: string, options: SecureContextOptions): Problem | undefined {
  try {
    tryContext(options);
    return undefined;
  } catch (error) {
    return { place, message: `${what} cannot be used: ${opensslReason(error)}` };
  }
}

/** OpenSSL's reason for an error, without the location in its source. */
function opensslReason(error: unknown): string {
  const said = error instanceof Error && 'reason' in error ? error.reason : undefined;
  if (said === 'no start line') return 'it is not PEM';
  return typeof said === 'string' ? said : reason(error);
}

function redisCaProblems(config: Config, { redis }: RevocationSettings): Problem[] {
  const ca = redis?.address.ca;
  if (!ca) return [];
  const place = 'gateway.revocation.redis_ca';
  const found = contextProblem(place, `the CA \`${config.gateway.revocation.redis_ca}\``, { ca });
  return found ? [found] : [];
}

/** Types of kernel file systems: proc, sysfs, cgroup, cgroup2 (Linux `magic.h`). */
const OF_THE_KERNEL: ReadonlySet<number> = new Set([0x9fa0, 0x62656572, 0x27e0eb, 0x63677270]);

/** Checks that the folder of audit files exists or can be created, and is writable. */
function auditProblems({ audit, gateway }: Config): Problem[] {
  if (!audit.enabled || !isAudited({ audit, gateway })) return [];
  return unwritable('audit.dir', audit.dir);
}

/** The same of the folder of automatic certificates. One that holds a certificate may be read only: it is served. */
function folderProblems({ config, secrets }: State): Problem[] {
  const { acme } = config.gateway;
  if (!usesAcme(config) || secrets.tls?.cert) return [];
  return unwritable('gateway.acme.folder', acme.folder);
}

function unwritable(place: string, folder: string): Problem[] {
  const fail = (message: string): Problem[] => [{ place, message }];
  for (let path = resolve(folder); ; path = dirname(path)) {
    try {
      if (!statSync(path).isDirectory()) return fail(`cannot write to \`${folder}\`: \`${path}\` is not a folder`);
      accessSync(path, constants.W_OK | constants.X_OK);
      if (OF_THE_KERNEL.has(statfsSync(path).type))
        return fail(`cannot write to \`${folder}\`: \`${path}\` is a file system of the kernel`);
      return [];
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!missing || path === dirname(path)) return fail(`cannot write to \`${folder}\`: ${reason(error)}`);
    }
  }
}
