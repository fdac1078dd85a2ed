import { resolve } from 'node:path';
import type { LimitSettings } from '../../policy/limits/limits.ts';
import type { GuardSettings, RuleSettings } from '../../policy/settings.ts';
import type { TenantSettings } from '../../policy/tenants/settings.ts';
import { nearest } from '../nearest.ts';
import { type Problem, reason } from '../problem.ts';
import { HS256_KEY_BYTES } from '../rules.ts';
import { KEY_NAMES, type Keys, type ReadFile, withoutNewline } from '../secrets.ts';
import type { YamlTree } from '../yaml/tree.ts';
import { checkAccess, type KnownOperations, unknownOperation } from './access-problems.ts';
import { guardProblems } from './guard-problems.ts';
import type { RawIssuer } from './issuers/schema.ts';
import { limitProblems } from './limits.ts';
import type { PolicyEntry, RawSigningKey } from './schema.ts';
import { tenantProblems } from './tenants.ts';

/** The well-formed entries of a policy file, and the data to check them against. */
export interface PolicyChecks {
  readonly tree: YamlTree;
  readonly signingKeys: readonly PolicyEntry<RawSigningKey>[];
  readonly rules: readonly PolicyEntry<RuleSettings>[];
  readonly guards: readonly PolicyEntry<GuardSettings>[];
  readonly limits: readonly PolicyEntry<LimitSettings>[];
  readonly tenants: readonly PolicyEntry<TenantSettings>[];
  readonly issuers: readonly PolicyEntry<RawIssuer>[];
  /** Id of the holders of client certificates; `undefined` = the file says nothing of them. */
  readonly certificates: string | undefined;
  readonly cwd: string;
  readonly readFile: ReadFile;
  readonly secretOf?: SecretOf | undefined;
  /** The configured keys. */
  readonly keys: Keys;
  /** True = tokens are accepted. */
  readonly jwtRbac: boolean;
  /** True = refusals are carried out (`gateway.mode`). */
  readonly enforced: boolean;
  /** Operation names that rules may use; not checked if absent. */
  readonly operations?: KnownOperations | undefined;
  /** Ids of named keys; `undefined` = there is no file of them. */
  readonly namedKeys?: readonly string[] | undefined;
}

/** The secret that a text of `signing_keys[].secret` stands for; or a sentence that says why it is none. */
export type SecretOf = (text: string) => string | { readonly message: string };

/** Errors and warnings about the rules. */
export interface PolicyFindings {
  readonly signingKeys: readonly { readonly id: string; readonly secret: string; readonly exchange?: true }[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

/** The key id of callers without configured keys. */
const NO_KEY = 'none';
/** The rule name in audit and metrics if the whole policy is in shadow. */
const WHOLE_POLICY = 'policy';

/** Checks beyond the schema: ids, secrets, names of keys and operations. */
export function checkPolicy(checks: PolicyChecks): PolicyFindings {
  const problems: Problem[] = [
    ...idProblems(checks.tree, 'signing_keys', checks.signingKeys, [...KEY_NAMES, NO_KEY]),
    ...idProblems(checks.tree, 'rules', checks.rules, [WHOLE_POLICY]),
    ...idProblems(checks.tree, 'guards', checks.guards, [WHOLE_POLICY]),
    ...guardsLikeRules(checks),
    ...idProblems(checks.tree, 'limits', checks.limits, [WHOLE_POLICY]),
    ...idProblems(checks.tree, 'tenants', checks.tenants, [WHOLE_POLICY]),
    ...idProblems(checks.tree, 'issuers', checks.issuers, [...KEY_NAMES, NO_KEY]),
    ...sameIds(checks),
  ];
  const secrets = checks.signingKeys.map((entry) => readSigningKey(checks, entry, problems));
  const signingKeys = secrets.flatMap((one) => one ?? []);
  problems.push(...sameSecrets(checks, signingKeys));
  for (const rule of checks.rules) problems.push(...ruleProblems(checks, rule));
  const ids = idsOf(checks);
  const keyProblemOf = (id: string): string | undefined => keyProblem(checks, ids, id);
  for (const guard of checks.guards) problems.push(...guardProblems(checks.tree, guard, keyProblemOf));
  problems.push(
    ...limitProblems({
      ...{ tree: checks.tree, limits: checks.limits, operations: checks.operations },
      ruleIds: new Set([...checks.rules, ...checks.guards].flatMap(({ id }) => id ?? [])),
      keyProblem: keyProblemOf,
    }),
  );
  problems.push(
    ...tenantProblems({
      ...{ tree: checks.tree, tenants: checks.tenants, enforced: checks.enforced },
      jwtRbac: checks.jwtRbac || checks.issuers.length > 0 || checks.certificates !== undefined,
      keyProblem: (id) => keyProblem(checks, ids, id),
      signers: new Set([
        'api_key',
        'alt_api_key',
        ...[...checks.signingKeys, ...checks.issuers].flatMap(({ id }) => id ?? []),
        ...certificateIds(checks),
      ]),
      hasNamedKeys: checks.namedKeys !== undefined,
    }),
  );
  const warnings = signingKeys
    .filter(({ secret }) => Buffer.byteLength(secret) < HS256_KEY_BYTES)
    .map(
      ({ place }) =>
        `${place}: the secret is shorter than ${HS256_KEY_BYTES} bytes: too short to sign tokens (RFC 7518, section 3.2)`,
    );
  if (signingKeys.length > 0 && !checks.jwtRbac) {
    const place = checks.tree.placeOf(['signing_keys']);
    warnings.push(`${place}: signing keys need \`service.jwt_rbac\`, tokens stay off`);
  }
  const read = signingKeys.map(({ id, secret, exchange }) =>
    Object.freeze({ id, secret, ...(exchange && { exchange }) }),
  );
  return { signingKeys: read, problems, warnings };
}

function idProblems(
  tree: YamlTree,
  section: string,
  entries: readonly PolicyEntry<unknown>[],
  reserved: readonly string[],
): Problem[] {
  const seen = new Set<string>();
  const problems: Problem[] = [];
  for (const { id, at } of entries) {
    if (id === undefined) continue;
    const place = tree.placeOf([section, at, 'id']);
    if (reserved.includes(id)) problems.push({ place, message: `\`${id}\` is reserved: choose another id` });
    else if (seen.has(id)) problems.push({ place, message: `the id \`${id}\` is given twice` });
    seen.add(id);
  }
  return problems;
}

/** A guard and a rule with one id could not be told apart in audit and log. */
function guardsLikeRules({ tree, rules, guards }: PolicyChecks): Problem[] {
  return guards
    .filter(({ id }) => id !== undefined && rules.some((rule) => rule.id === id))
    .map(({ id, at }) => ({ place: tree.placeOf(['guards', at, 'id']), message: `a rule has the id \`${id}\`` }));
}

/** A signing key, an issuer and a named key with one id could not be told apart in rules and audit. */
function sameIds({ tree, signingKeys, issuers, namedKeys, certificates }: PolicyChecks): Problem[] {
  const named = new Set(namedKeys);
  const signing = new Set(signingKeys.flatMap(({ id }) => id ?? []));
  const clash = (section: string, what: string, taken: ReadonlySet<string>) => {
    const entries = section === 'issuers' ? issuers : signingKeys;
    return entries
      .filter(({ id }) => id !== undefined && taken.has(id))
      .map(({ id, at }) => ({ place: tree.placeOf([section, at, 'id']), message: `${what} has the id \`${id}\`` }));
  };
  return [
    ...clash('signing_keys', 'a named key', named),
    ...clash('issuers', 'a named key', named),
    ...clash('issuers', 'a signing key', signing),
    ...takenBy(certificates, [
      ['a named key', named],
      ['a signing key', signing],
      ['an issuer', new Set(issuers.flatMap(({ id }) => id ?? []))],
      ['a configured key', new Set([...KEY_NAMES, NO_KEY])],
    ]).map((message) => ({ place: tree.placeOf(['client_certificates', 'id']), message })),
  ];
}

/** A problem for each kind of caller that has the id already, which all holders of client certificates share. */
function takenBy(id: string | undefined, others: readonly (readonly [what: string, ids: ReadonlySet<string>])[]) {
  return others.flatMap(([what, ids]) => (id !== undefined && ids.has(id) ? `${what} has the id \`${id}\`` : []));
}

function certificateIds({ certificates }: PolicyChecks): readonly string[] {
  return certificates === undefined ? [] : [certificates];
}

interface PlacedKey {
  readonly id: string;
  readonly exchange?: true;
  readonly secret: string;
  readonly place: string;
}

function readSigningKey(
  { tree, cwd, readFile, secretOf }: PolicyChecks,
  { entry, at }: PolicyEntry<RawSigningKey>,
  problems: Problem[],
): PlacedKey | undefined {
  if (!entry) return undefined;
  const { id, secret: inline, secret_file: file } = entry;
  const place = tree.placeOf(['signing_keys', at, file === undefined ? 'secret' : 'secret_file']);
  const fail = (message: string): undefined => void problems.push({ place, message });
  if (inline !== undefined && file !== undefined) return fail('both `secret` and `secret_file` are set: keep one');
  if (inline === undefined && file === undefined) return fail('the key needs `secret` or `secret_file`');
  const secret =
    inline === undefined
      ? readSecretFile(resolve(cwd, file ?? ''), file ?? '', readFile)
      : (secretOf?.(inline) ?? inline);
  if (typeof secret !== 'string') return fail(secret.message);
  if (secret === '') return fail(`the secret file \`${file ?? ''}\` is empty`);
  if (secret === secret.trim()) return { id, secret, place, ...(entry.exchange && { exchange: true as const }) };
  return fail('the secret has leading or trailing whitespace (one newline at the end of a file is allowed)');
}

function readSecretFile(path: string, shown: string, readFile: ReadFile): string | { readonly message: string } {
  try {
    return withoutNewline(readFile(path));
  } catch (error) {
    return { message: `cannot read the secret file \`${shown}\`: ${reason(error)}` };
  }
}

/**
 * Rejects one secret under two ids, since the signer would be ambiguous, and a secret that is also the read-only key.
 */
function sameSecrets({ keys }: PolicyChecks, signingKeys: readonly PlacedKey[]): Problem[] {
  const first = new Map<string, string>();
  const problems: Problem[] = [];
  for (const { id, secret, place } of signingKeys) {
    const other = first.get(secret);
    if (other === undefined) first.set(secret, id);
    else problems.push({ place, message: `the same secret as the key \`${other}\`` });
    if (secret === keys.read_only_api_key) {
      const message = 'the same as `service.read_only_api_key`: a reader could sign tokens with more access';
      problems.push({ place, message });
    }
  }
  return problems;
}

function ruleProblems(checks: PolicyChecks, { entry, at }: PolicyEntry<RuleSettings>): Problem[] {
  if (!entry) return [];
  const { tree } = checks;
  const problems: Problem[] = [];
  const path = ['rules', at] as const;
  const report = (field: readonly (string | number)[], message: string): void => {
    problems.push({ place: tree.placeOf([...path, ...field]), message });
  };
  const { access, operations, deny_operations: deny, ready } = entry;
  if ([access, operations, deny, ready].every((restriction) => restriction === undefined)) {
    const allowed = '`access`, `operations`, `deny_operations` or `ready`';
    report([], `the rule \`${entry.id}\` restricts nothing: set ${allowed}`);
  }
  for (const field of ['keys', 'subjects'] as const) {
    if (entry[field]?.length === 0)
      report([field], `\`${field}\` is empty, so the rule applies to no caller: add one or remove the list`);
  }
  if (deny?.length === 0) report(['deny_operations'], '`deny_operations` is empty, so it restricts nothing: add one');
  const ids = idsOf(checks);
  for (const [index, id] of (entry.keys ?? []).entries()) {
    const problem = keyProblem(checks, ids, id);
    if (problem !== undefined) report(['keys', index], problem);
  }
  for (const field of ['operations', 'deny_operations'] as const) {
    for (const [index, name] of (entry[field] ?? []).entries()) {
      if (checks.operations && !checks.operations.has(name))
        report([field, index], unknownOperation(name, checks.operations));
    }
  }
  checkAccess(entry.access, checks.operations, (field, message) => report(['access', ...field], message));
  return problems;
}

/** A rule for a named key that is gone stays valid: deleting a key must never stop a reload. */
function keyProblem({ namedKeys }: PolicyChecks, ids: readonly string[], id: string): string | undefined {
  if (ids.includes(id) || (namedKeys && NAMED_ID.test(id))) return undefined;
  return `no key has the id \`${id}\`, ${didYouMean(id, ids)}`;
}

/** The form of a named key's id. */
const NAMED_ID = /^[a-z0-9]{4,32}$/;

function idsOf(checks: PolicyChecks): readonly string[] {
  const { signingKeys, issuers, namedKeys = [] } = checks;
  const ids = [...signingKeys, ...issuers].flatMap(({ id }) => id ?? []);
  return [...KEY_NAMES, NO_KEY, ...ids, ...certificateIds(checks), ...namedKeys];
}

function didYouMean(id: string, ids: readonly string[]): string {
  const meant = nearest(id, ids);
  return meant === undefined ? `there are ${ids.map((one) => `\`${one}\``).join(', ')}` : `did you mean \`${meant}\`?`;
}
