import type { Config } from '../config/schema.ts';
import type { TlsMaterial } from '../config/secrets.ts';
import type { State } from '../config/state.ts';
import type { CertificateTrust } from '../identity/certificates/trust.ts';
import type { KeyRing } from '../identity/key-ring.ts';
import { NO_REVOCATIONS, type Revocations } from '../identity/revocations.ts';
import type { NamedKeysInForce } from '../policy/named-key.ts';
import type { Policy } from '../policy/rules.ts';
import { policyOf } from '../policy/settings.ts';
import { restartNeeded } from './live-options.ts';
import { checkIssuers, ringOf, trustOf, tryContexts } from './usable.ts';

/** The state in force in one process; replaced as a whole by a reload. */
export interface StateInForce {
  state: State;
  generation: number;
  revocations: Revocations;
  /** The named keys of Redis; `undefined` = not known yet, or not kept there. */
  sharedKeys: NamedKeysInForce | undefined;
  /** TLS material of the listeners; null without TLS. */
  tls: TlsMaterial | null;
  /** The trust in client certificates; `undefined` = they are no identities. */
  trust: CertificateTrust | undefined;
}

/** The state of the start. @param generation its number */
export function stateOfStart(state: State, generation: number): StateInForce {
  const { tls } = state.secrets;
  return {
    state,
    generation,
    revocations: NO_REVOCATIONS,
    sharedKeys: undefined,
    tls,
    trust: trustOf(state.config, tls),
  };
}

/** All that a next state needs before it is in force. */
export interface NextState {
  readonly ring: KeyRing;
  readonly policy: Policy;
  /** TLS material of the listeners; null without TLS. */
  readonly tls: TlsMaterial | null;
  /** The same if it differs from the material in force, else null. Unchanged certificates keep their TLS sessions. */
  readonly changedTls: TlsMaterial | null;
  /** The trust in client certificates: the same value while CAs and lists are the same. */
  readonly trust: CertificateTrust | undefined;
  /** Changed options that need a restart, by path. */
  readonly restartNeeded: readonly string[];
}

/**
 * Makes everything of a next state that can fail; throws `ConfigError` then. Changes nothing.
 *
 * @param running the configuration of the start
 * @param generation the number of the next state
 */
export function prepareState(running: Config, inForce: StateInForce, next: State, generation: number): NextState {
  checkIssuers(next);
  const { rules, guards, limits } = next.policy;
  const policy = policyOf(next.config.gateway.mode, rules, guards, limits);
  const tls = listenerTls(running, inForce.tls, next);
  const changedTls = tls && !sameTls(tls, inForce.tls) ? tls : null;
  tryContexts(next.config, changedTls, next.secrets);
  const trust = sameIdentities(tls, inForce.tls) ? inForce.trust : trustOf(next.config, tls);
  const { mode } = running.gateway.client_certificates;
  const ring = ringOf(next, generation, { shared: inForce.sharedKeys, certificates: { mode, trust } });
  return { ring, policy, tls, changedTls, trust, restartNeeded: restartNeeded(running, next.config) };
}

/**
 * TLS material of open listeners under the next state. TLS on or off, and client certificates, are settled when they are
 * opened: a state that changes either keeps the present setting.
 */
function listenerTls(running: Config, inForce: TlsMaterial | null, next: State): TlsMaterial | null {
  const { tls: given } = next.secrets;
  if (!inForce || !given) return inForce;
  // INVARIANT: a certificate in force is only replaced by another one, also where its file has gone or is not there yet.
  const tls = given.cert && given.key ? given : { ...given, cert: inForce.cert, key: inForce.key };
  // INVARIANT: a listener with client certificates always has their CA.
  const asks = 'verify_https_client_certificate';
  const restCa = running.service[asks] === next.config.service[asks] ? tls.clientCa : inForce.clientCa;
  const grpcAsks = 'grpc_client_certificates';
  const grpcCa = running.gateway[grpcAsks] === next.config.gateway[grpcAsks] ? tls.grpcClientCa : inForce.grpcClientCa;
  const { mode } = running.gateway.client_certificates;
  const identities = mode === next.config.gateway.client_certificates.mode ? tls.identities : inForce.identities;
  return { ...tls, clientCa: restCa, grpcClientCa: grpcCa, identities };
}

/** One entry per part, so that a new part must be compared. */
const SAME: { readonly [P in keyof TlsMaterial]-?: (left: TlsMaterial, right: TlsMaterial) => boolean } = {
  cert: (left, right) => sameBytes(left.cert, right.cert),
  key: (left, right) => sameBytes(left.key, right.key),
  clientCa: (left, right) => sameBytes(left.clientCa, right.clientCa),
  grpcClientCa: (left, right) => sameBytes(left.grpcClientCa, right.grpcClientCa),
  identities: (left, right) => sameIdentities(left, right),
  ticketKeys: (left, right) => sameBytes(left.ticketKeys, right.ticketKeys),
};

function sameTls(left: TlsMaterial, right: TlsMaterial | null): boolean {
  return right !== null && Object.values(SAME).every((same) => same(left, right));
}

function sameIdentities(left: TlsMaterial | null, right: TlsMaterial | null): boolean {
  const [one, other] = [left?.identities, right?.identities];
  return sameBytes(one?.ca, other?.ca) && sameBytes(one?.crl, other?.crl);
}

function sameBytes(left: Buffer | null | undefined, right: Buffer | null | undefined): boolean {
  return left && right ? left.equals(right) : !left && !right;
}
