import { X509Certificate } from 'node:crypto';
import { effectiveValues } from '../config/document.ts';
import { comparedText } from '../config/keys/compared-text.ts';
import { optionAt } from '../config/options.ts';
import type { Config } from '../config/schema.ts';
import type { State } from '../config/state.ts';
import { hasNodes } from '../config/upstream/rules.ts';

/** Paths of changed options, in the order of the schema. */
function changedOptions(before: Config, after: Config): readonly string[] {
  const [old, next] = [effectiveValues(before), effectiveValues(after)];
  return [...old.keys()].filter((path) => old.get(path) !== next.get(path));
}

/** Paths of changed options that need a restart, in the order of the schema. */
export function restartNeeded(running: Config, next: Config): readonly string[] {
  const changed = changedOptions(running, next).filter((path) => optionAt(path)?.live !== true);
  // Nodes change while it runs, but not into one address.
  return hasNodes(running) === hasNodes(next) ? changed : [...changed, 'gateway.upstream.nodes'];
}

/**
 * Differences as texts: options by path, keys and rules by id, certificates by expiry. Never a value. Empty = the
 * states are the same.
 */
export function describeChanges(before: State, after: State): readonly string[] {
  return [
    ...changedOptions(before.config, after.config).map((path) => `option ${path}`),
    ...describeEntries('key', keysOf(before), keysOf(after)),
    ...describeEntries('signing key', signingKeysOf(before), signingKeysOf(after)),
    ...describeEntries('named key', namedKeysOf(before), namedKeysOf(after)),
    ...describeEntries('rule', entriesOf(before.policy.rules), entriesOf(after.policy.rules)),
    ...describeEntries('issuer', entriesOf(before.policy.issuers), entriesOf(after.policy.issuers)),
    ...describeEntries('guard', entriesOf(before.policy.guards), entriesOf(after.policy.guards)),
    ...describeEntries('limit', entriesOf(before.policy.limits), entriesOf(after.policy.limits)),
    ...describeEntries('tenant', entriesOf(before.policy.tenants), entriesOf(after.policy.tenants)),
    ...(isEqual(before.policy.clientCertificates ?? {}, after.policy.clientCertificates ?? {})
      ? []
      : ['client certificates']),
    ...(isEqual(before.policy.tokenRules, after.policy.tokenRules) ? [] : ['requirements on tokens']),
    ...(isEqual({ of: before.policy.tokenExchange }, { of: after.policy.tokenExchange }) ? [] : ['token exchange']),
    ...describeFiles(before, after),
  ];
}

function isEqual(left: object, right: object): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** Values by id, for comparison only. */
type Entries = ReadonlyMap<string, string>;

function keysOf({ secrets: { apiKey, altApiKey, readOnlyApiKey, adminToken, upstreamKey } }: State): Entries {
  const all = {
    ...{ api_key: apiKey, alt_api_key: altApiKey, read_only_api_key: readOnlyApiKey },
    ...{ admin_token: adminToken, upstream_api_key: upstreamKey },
  };
  return new Map(Object.entries(all).flatMap(([id, key]) => (key === null ? [] : [[id, key] as const])));
}

function signingKeysOf({ policy }: State): Entries {
  return new Map(policy.signingKeys.map(({ id, secret, exchange }) => [id, `${exchange === true} ${secret}`] as const));
}

function namedKeysOf({ policy }: State): Entries {
  return new Map((policy.namedKeys ?? []).map((key) => [key.id, comparedText(key)] as const));
}

function entriesOf(list: readonly { readonly id: string }[] = []): Entries {
  return new Map(list.map((entry) => [entry.id, JSON.stringify(entry)] as const));
}

function describeEntries(what: string, before: Entries, after: Entries): string[] {
  const added = [...after.keys()].filter((id) => !before.has(id)).map((id) => `${what} ${id} added`);
  const removed = [...before.keys()].filter((id) => !after.has(id)).map((id) => `${what} ${id} removed`);
  const kept = [...after].filter(([id]) => before.has(id));
  const changed = kept.filter(([id, value]) => before.get(id) !== value).map(([id]) => `${what} ${id} changed`);
  const told = [...added, ...removed, ...changed];
  const moved = told.length === 0 && [...before.keys()].join() !== [...after.keys()].join();
  return moved ? [`${what}s in another order`] : told;
}

function describeFiles({ secrets: before }: State, { secrets: after }: State): string[] {
  const told: string[] = [];
  if (differ(before.tls?.cert, after.tls?.cert)) told.push(`certificate, ${expiryOf(after.tls?.cert)}`);
  if (differ(before.tls?.key, after.tls?.key)) told.push('private key');
  const cas = [before, after].map(({ tls }) => tls?.clientCa ?? tls?.grpcClientCa ?? tls?.identities?.ca);
  if (differ(cas[0], cas[1])) told.push('client ca');
  if (differ(before.tls?.identities?.crl, after.tls?.identities?.crl)) told.push('revocation lists of clients');
  if (differ(before.upstreamCa, after.upstreamCa)) told.push('upstream ca');
  const shown = [before, after].map(({ upstreamIdentity }) => upstreamIdentity?.cert);
  if (differ(shown[0], shown[1])) told.push(`certificate for upstream, ${expiryOf(shown[1])}`);
  return told;
}

function expiryOf(cert: Buffer | null | undefined): string {
  return cert ? `expires ${new Date(new X509Certificate(cert).validTo).toISOString()}` : 'none';
}

function differ(before: Buffer | null | undefined, after: Buffer | null | undefined): boolean {
  if (!before || !after) return Boolean(before) !== Boolean(after);
  return !before.equals(after);
}
