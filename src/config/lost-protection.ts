import { effectiveValues } from './document.ts';
import type { Readings } from './files/file-reads.ts';
import { comparedText } from './keys/compared-text.ts';
import { options } from './options.ts';
import type { State } from './state.ts';

/**
 * Protection that `after` lacks or may have less of, as texts; empty = none. Such a state may come from a file that is still
 * being written.
 */
export function lostProtection(before: State, after: State): readonly string[] {
  return [
    ...entriesLost('rule', before.policy.rules, after.policy.rules),
    ...entriesLost('guard', before.policy.guards, after.policy.guards),
    ...entriesLost('limit', before.policy.limits, after.policy.limits),
    ...entriesLost('tenant', before.policy.tenants, after.policy.tenants),
    ...tokenRulesLost(before, after),
    ...issuersLost(before, after),
    ...mappingsLost(before, after),
    ...namedKeysLost(before, after),
    ...keysLost(before, after),
    ...optionsLost(before, after),
  ];
}

type Entries = readonly { readonly id: string }[];

/** A changed entry may be the first part of an entry. */
function entriesLost(what: string, before: Entries = [], after: Entries = []): string[] {
  const kept = new Map(after.map((entry) => [entry.id, JSON.stringify(entry)]));
  return before.flatMap((entry) => {
    const next = kept.get(entry.id);
    if (next === undefined) return `${what} ${entry.id} removed`;
    return next === JSON.stringify(entry) ? [] : `${what} ${entry.id} changed`;
  });
}

/** Beside keys they narrow: without them certificates narrow nothing. */
function mappingsLost({ policy: { clientCertificates: before } }: State, { policy: after }: State): string[] {
  if (before === undefined) return [];
  return JSON.stringify(before) === JSON.stringify(after.clientCertificates)
    ? []
    : ['mappings of client certificates changed'];
}

function tokenRulesLost({ policy: before }: State, { policy: after }: State): string[] {
  return JSON.stringify(before.tokenRules) === JSON.stringify(after.tokenRules)
    ? []
    : ['requirements on tokens changed'];
}

/** A changed issuer may lack its last lines, which say for whom a mapping is. A removed one permits nothing. */
function issuersLost(
  { policy: { issuers: before = [] } }: State,
  { policy: { issuers: after = [] } }: State,
): string[] {
  const textOf = (issuer: object): string => JSON.stringify({ ...issuer, examples: [] });
  const old = new Map(before.map((issuer) => [issuer.id, textOf(issuer)]));
  const isChanged = (id: string, text: string): boolean => old.has(id) && old.get(id) !== text;
  return after.flatMap((issuer) => (isChanged(issuer.id, textOf(issuer)) ? `issuer ${issuer.id} changed` : []));
}

/** A changed named key may lack its last lines, which limit it. A removed one permits nothing, unless all are gone. */
function namedKeysLost({ policy: { namedKeys: before } }: State, { policy: { namedKeys: after } }: State): string[] {
  if (before === undefined || before.length === 0) return [];
  if (after === undefined || after.length === 0) return ['every named key removed'];
  const old = new Map(before.map((key) => [key.id, comparedText(key)]));
  const isChanged = (id: string, text: string): boolean => old.has(id) && old.get(id) !== text;
  return after.flatMap((key) => (isChanged(key.id, comparedText(key)) ? `named key ${key.id} changed` : []));
}

/** A removed key permits nothing, unless it was the last one; a shorter key may be the first part of a key. */
function keysLost(before: State, after: State): string[] {
  return [...upstreamKeyLost(before, after), ...ownKeysLost(before, after)];
}

/** Without it, or with a part of it, upstream refuses every request. */
function upstreamKeyLost({ secrets: before }: State, { secrets: after }: State): string[] {
  const [old, next] = [before.upstreamKey, after.upstreamKey];
  if (old === null || old === next) return [];
  if (next === null) return ['key upstream_api_key removed'];
  return Buffer.byteLength(next) < Buffer.byteLength(old) ? ['key upstream_api_key shorter'] : [];
}

function ownKeysLost(before: State, after: State): string[] {
  const [old, next] = [keysOf(before), keysOf(after)];
  if (old.size > 0 && next.size === 0) return ['every key removed'];
  const isShorter = (id: string, key: string): boolean => {
    const known = old.get(id);
    return known !== undefined && Buffer.byteLength(key) < Buffer.byteLength(known);
  };
  return [...next].flatMap(([id, key]) => (isShorter(id, key) ? `key ${id} shorter` : []));
}

function keysOf({ secrets, policy }: State): ReadonlyMap<string, string> {
  const { apiKey, altApiKey, readOnlyApiKey, adminToken } = secrets;
  const all = { api_key: apiKey, alt_api_key: altApiKey, read_only_api_key: readOnlyApiKey, admin_token: adminToken };
  return new Map([
    ...Object.entries(all).flatMap(([id, key]) => (key === null ? [] : [[id, key] as const])),
    ...policy.signingKeys.map(({ id, secret }) => [id, secret] as const),
  ]);
}

/** A missing line resets an option to its default. Keys are handled above. */
function optionsLost(before: State, after: State): string[] {
  const [old, next] = [effectiveValues(before.config), effectiveValues(after.config)];
  const lost = options
    .filter(({ path }) => !KEY_OPTION.test(path))
    .filter(({ path, fallback }) => old.get(path) !== next.get(path) && next.get(path) === fallback)
    .map(({ path }) => `option ${path} unset`);
  const opened = before.config.gateway.mode === 'enforce' && after.config.gateway.mode !== 'enforce';
  return opened ? [...lost, 'option gateway.mode changed'] : lost;
}

const KEY_OPTION = /(_key|\.token)(_file)?$/;

/** Absolute paths of files that are shorter than before. */
export function shortened(before: Readings, after: Readings): readonly string[] {
  return [...after].flatMap(([path, { stat }]) => {
    const old = before.get(path)?.stat;
    return old && stat && stat.size < old.size ? path : [];
  });
}

/** Absolute paths of files that lost their end mark. */
export function withoutEndMark(before: Readings, after: Readings): readonly string[] {
  return [...after].flatMap(([path, { ended }]) => (before.get(path)?.ended && !ended ? path : []));
}
