import type { NamedKeySettings } from '../../policy/named-key.ts';
import { fieldOf, MAX_PATH_LENGTH } from '../../policy/tenants/payload-path.ts';
import type { TenantScalar, TenantSettings } from '../../policy/tenants/settings.ts';
import type { Problem } from '../problem.ts';
import type { YamlTree } from '../yaml/tree.ts';
import { checkName } from './access-problems.ts';
import type { PolicyEntry } from './schema.ts';

/** Tenants of a policy file, and the data to check them against. */
export interface TenantChecks {
  readonly tree: YamlTree;
  readonly tenants: readonly PolicyEntry<TenantSettings>[];
  /** The problem with the id of a key; `undefined` = there is such a key. */
  readonly keyProblem: (id: string) => string | undefined;
  /** True = tokens are accepted. */
  readonly jwtRbac: boolean;
  /** Ids of the keys that sign tokens. */
  readonly signers: ReadonlySet<string>;
  /** True = there is a file of named keys. */
  readonly hasNamedKeys: boolean;
  /** True = refusals are carried out (`gateway.mode`). */
  readonly enforced: boolean;
}

const CONDITION_FIELDS = [
  ...(['field', 'value', 'values', 'from', 'hide_field', 'hidden_fields', 'read_only_fields'] as const),
  ...(['shared_statistics', 'shard_key', 'shard_key_fallback'] as const),
] as const;
const SOURCES = ['value', 'values', 'from'] as const;

type Report = (field: readonly (string | number)[], message: string) => void;

/** Checks tenants beyond the schema. */
export function tenantProblems(checks: TenantChecks): Problem[] {
  const { tree, tenants, enforced } = checks;
  const problems: Problem[] = [];
  if (tenants.length > 0 && !enforced) {
    const message = '`tenants` need `gateway.mode: enforce`: in shadow and learn mode refused requests are forwarded';
    problems.push({ place: tree.placeOf(['tenants']), message });
  }
  for (const [index, { entry, at }] of tenants.entries()) {
    if (!entry) continue;
    const report: Report = (field, message) =>
      problems.push({ place: tree.placeOf(['tenants', at, ...field]), message });
    checkCallers(checks, entry, report);
    checkCollections(entry, report);
    checkCondition(checks, entry, report);
    checkKeptFields(entry, report);
    checkShardKey(entry, report);
    for (const { entry: other } of tenants.slice(0, index)) if (other) checkPair(other, entry, report);
  }
  return problems;
}

function checkCallers({ keyProblem, jwtRbac }: TenantChecks, entry: TenantSettings, report: Report): void {
  for (const field of ['keys', 'subjects'] as const) {
    if (entry[field]?.length === 0)
      report([field], `\`${field}\` is empty, so the entry applies to no caller: add one or remove the list`);
  }
  for (const [index, key] of (entry.keys ?? []).entries()) {
    const problem = keyProblem(key);
    if (problem !== undefined) report(['keys', index], problem);
  }
  if (entry.credentials === 'tokens' && !jwtRbac)
    report(['credentials'], 'tokens are off, so the entry applies to no caller: set `service.jwt_rbac`');
}

function checkCollections({ collections }: TenantSettings, report: Report): void {
  if (collections.length === 0) report(['collections'], '`collections` is empty: name one, or `*` for all');
  for (const [index, name] of collections.entries()) {
    checkName(name, (message) => report(['collections', index], message));
  }
}

const TOO_LONG = `the path has more than ${MAX_PATH_LENGTH} characters, and no request may have such a one`;
const PATH_FORM =
  'keys with dots between, such as `tenant_id` or `owner.id`, in double quotes if they hold other signs; steps into arrays are not allowed';

function checkCondition(checks: TenantChecks, entry: TenantSettings, report: Report): void {
  const { id, field, values, free } = entry;
  if (free) {
    for (const own of CONDITION_FIELDS) {
      if (entry[own] !== undefined) report([own], `\`${own}\` contradicts \`free\`: remove one of them`);
    }
    return;
  }
  if (field === undefined) {
    report([], `the entry \`${id}\` sets no condition: set \`field\` with ${namesOf(SOURCES)}, or \`free: true\``);
  } else if (field.length > MAX_PATH_LENGTH) {
    report(['field'], TOO_LONG);
  } else if (!fieldOf(field)) {
    report(['field'], `\`${field}\` is no path of ${PATH_FORM}`);
  }
  const sources = SOURCES.filter((source) => entry[source] !== undefined);
  const [first, second] = sources;
  if (first === undefined && field !== undefined) report([], `the entry \`${id}\` needs one of ${namesOf(SOURCES)}`);
  if (second !== undefined) report([second], `\`${first}\` and \`${second}\` are both set: keep one`);
  if (values?.length === 0) report(['values'], '`values` is empty, so no point could meet it: add one');
  for (const [index, value] of (values ?? []).entries()) {
    if (values?.indexOf(value) !== index) report(['values', index], `the value \`${value}\` is given twice`);
  }
  if (entry.from !== undefined && !hasSource(checks, entry)) {
    report(
      ['from'],
      '`from` has no source: it needs tokens (`service.jwt_rbac`) or named keys (`gateway.keys_file`) among the keys of the entry',
    );
  }
}

function checkKeptFields(entry: TenantSettings, report: Report): void {
  const own = fieldOf(entry.field ?? '');
  for (const name of ['hidden_fields', 'read_only_fields'] as const) {
    const paths = entry[name] ?? [];
    if (entry[name] && paths.length === 0) report([name], `\`${name}\` is empty: add a field or remove the list`);
    for (const [index, path] of paths.entries()) {
      const field = fieldOf(path);
      if (path.length > MAX_PATH_LENGTH) report([name, index], TOO_LONG);
      else if (!field) report([name, index], `\`${path}\` is no path of ${PATH_FORM}`);
      else if (name === 'read_only_fields' && own && overlaps(own, field))
        report(
          [name, index],
          `\`${path}\` overlaps with \`field\`, which no caller of the entry changes anyway: remove it`,
        );
      if (paths.indexOf(path) !== index) report([name, index], `the field \`${path}\` is given twice`);
    }
  }
}

function overlaps(one: readonly string[], other: readonly string[]): boolean {
  const shared = Math.min(one.length, other.length);
  return one.slice(0, shared).every((key, at) => key === other[at]);
}

function checkShardKey(entry: TenantSettings, report: Report): void {
  const { shard_key: sharded, shard_key_fallback: fallback, from, free } = entry;
  if (fallback !== undefined && !sharded && !free)
    report(['shard_key_fallback'], '`shard_key_fallback` needs `shard_key: true`');
  const constants = constantsOf(entry);
  if (!sharded || from !== undefined || !constants || constants.length === 0) return;
  if (shardKeyIn(entry) === undefined)
    report(
      ['shard_key'],
      'a shard key is one text or one whole number from 0 on: give such a `value`, or remove `shard_key`',
    );
}

/** Can any caller of the entry have a value? */
function hasSource({ jwtRbac, signers, hasNamedKeys, keyProblem }: TenantChecks, entry: TenantSettings): boolean {
  const { keys, credentials } = entry;
  const own = (keys ?? []).filter((key) => keyProblem(key) === undefined);
  const bySigner = keys === undefined || own.some((key) => signers.has(key));
  const byName = keys === undefined || own.some((key) => !signers.has(key) && !WITHOUT_TENANT.has(key));
  return (credentials !== 'keys' && jwtRbac && bySigner) || (credentials !== 'tokens' && hasNamedKeys && byName);
}

/** Keys that sign nothing and have no record. */
const WITHOUT_TENANT: ReadonlySet<string> = new Set(['read_only_api_key', 'none']);

/** Two conditions that hold together and that no point can meet. */
function checkPair(first: TenantSettings, second: TenantSettings, report: Report): void {
  const [one, other] = [first, second].map(({ field = '' }) => fieldOf(field));
  if (!one || !other || !sameCallers(first, second)) return;
  const on = sharedCollection(first.collections, second.collections);
  if (on === undefined) return;
  const [key, before] = [shardKeyIn(second), shardKeyIn(first)];
  if (key !== undefined && before !== undefined && key !== before)
    report(['shard_key'], `on \`${on}\` the entry \`${first.id}\` forces another shard key: no request can have both`);
  const shared = Math.min(one.length, other.length);
  if (one.slice(0, shared).some((key, at) => key !== other[at])) return;
  const together = `on \`${on}\` it holds together with the entry \`${first.id}\``;
  if (one.length !== other.length) {
    report(['field'], `${together}, whose field \`${first.field}\` is above or below it: no point can meet both`);
    return;
  }
  const [own, theirs] = [constantsOf(second), constantsOf(first)];
  if (own && theirs && !own.some((value) => theirs.includes(value))) {
    report([second.value === undefined ? 'values' : 'value'], `${together}: no point can have both values`);
  }
}

function constantsOf({ value, values, from }: TenantSettings): readonly TenantScalar[] | undefined {
  if (from !== undefined) return undefined;
  return value === undefined ? values : [value];
}

/** The shard key of all callers of an entry; `undefined` = none, not one of the file, or a value that cannot be one. */
function shardKeyIn(entry: TenantSettings): string | number | undefined {
  const [only, ...more] = entry.shard_key ? (constantsOf(entry) ?? []) : [];
  if (more.length > 0 || typeof only === 'boolean') return undefined;
  return typeof only === 'number' && only < 0 ? undefined : only;
}

function sameCallers(one: TenantSettings, other: TenantSettings): boolean {
  const { credentials } = one;
  if (credentials && other.credentials && credentials !== other.credentials) return false;
  return intersect(one.keys, other.keys) && intersect(one.subjects, other.subjects);
}

function intersect(one: readonly string[] | undefined, other: readonly string[] | undefined): boolean {
  return !one || !other || one.some((name) => other.includes(name));
}

/** A name or pattern that both cover; `undefined` = none. */
function sharedCollection(one: readonly string[], other: readonly string[]): string | undefined {
  for (const left of one) {
    for (const right of other) {
      const both = sharedName(left, right);
      if (both !== undefined) return both;
    }
  }
  return undefined;
}

function sharedName(left: string, right: string): string | undefined {
  if (left === right) return left;
  if (left.endsWith('*') && right.startsWith(left.slice(0, -1))) return right;
  if (right.endsWith('*') && left.startsWith(right.slice(0, -1))) return left;
  return undefined;
}

function namesOf(fields: readonly string[]): string {
  return fields.map((field) => `\`${field}\``).join(', ');
}

/** Warnings about named keys that an entry asks for a tenant and that have none: they are refused there. */
export function keysWithoutTenant(
  tenants: readonly TenantSettings[] = [],
  namedKeys: readonly NamedKeySettings[] = [],
): readonly string[] {
  return tenants.flatMap(({ id, keys, subjects, credentials, from }) => {
    if (from === undefined || credentials === 'tokens' || (subjects && !subjects.includes(''))) return [];
    const lacking = namedKeys.filter((key) => key.tenant === undefined && (!keys || keys.includes(key.id)));
    if (lacking.length === 0) return [];
    const shown = lacking.slice(0, 5).map((key) => `\`${key.id}\``);
    const more = lacking.length > shown.length ? ` and ${lacking.length - shown.length} more` : '';
    return `gateway.keys_file: the tenant entry \`${id}\` refuses named keys without \`tenant\`: ${shown.join(', ')}${more}`;
  });
}

/**
 * Warnings about keys that sign tokens which no entry binds, while an entry binds those of another key of the same kind: as after a
 * rotation.
 *
 * @param kinds ids of keys that sign: those that are told, beside those of which one is bound
 */
export function signersUnbound(
  tenants: readonly TenantSettings[] = [],
  kinds: readonly (readonly [told: readonly string[], beside: readonly string[]])[] = [],
): readonly string[] {
  const ofTokens = tenants.filter(({ credentials }) => credentials !== 'keys');
  if (ofTokens.some(({ keys }) => keys === undefined)) return [];
  const named = new Set(ofTokens.flatMap(({ keys = [] }) => keys));
  return kinds.flatMap(([told, beside]) => {
    const bound = beside.find((id) => named.has(id));
    if (bound === undefined) return [];
    return told
      .filter((id) => !named.has(id))
      .map(
        (id) =>
          `gateway.policy_file: no entry of \`tenants\` binds tokens of the key \`${id}\`, while one binds those of \`${bound}\`: add it to \`keys\`, or to an entry with \`free: true\``,
      );
  });
}
