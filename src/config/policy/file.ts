import { resolve } from 'node:path';
import type { LimitSettings } from '../../policy/limits/limits.ts';
import type { CertificateSettings } from '../../policy/mapping/certificates.ts';
import type { IssuerSettings } from '../../policy/mapping/issuer.ts';
import type { TokenExchangeSettings } from '../../policy/minting/settings.ts';
import type { NamedKeySettings } from '../../policy/named-key.ts';
import type { GuardSettings, RuleSettings } from '../../policy/settings.ts';
import type { TenantSettings } from '../../policy/tenants/settings.ts';
import type { TokenRules } from '../../policy/token-rules.ts';
import { type Problem, reason } from '../problem.ts';
import type { Config } from '../schema.ts';
import type { Keys, ReadFile } from '../secrets.ts';
import { readYamlTree, type YamlTree } from '../yaml/tree.ts';
import type { KnownOperations } from './access-problems.ts';
import { byPlace, entriesOf, issueProblems, type Reading, unknownField } from './entries.ts';
import { readCertificates } from './issuers/certificates.ts';
import { readIssuers } from './issuers/read.ts';
import { issuerSchema } from './issuers/schema.ts';
import { checkPolicy, type SecretOf } from './rules.ts';
import {
  guardSchema,
  limitSchema,
  type PolicyEntry,
  policySchema,
  ruleSchema,
  signingKeySchema,
  tokensSchema,
} from './schema.ts';
import { tenantSchema } from './tenant-schema.ts';
import { exchangeProblems, readTokenExchange } from './token-exchange.ts';

/** The policy file as plain data. */
export interface PolicySettings {
  /** Further token secrets, in the order they are tried. */
  readonly signingKeys: readonly { readonly id: string; readonly secret: string; readonly exchange?: true }[];
  /** Valid rules, as plain data. */
  readonly rules: readonly RuleSettings[];
  /** Valid guards, as plain data; absent = there are none. */
  readonly guards?: readonly GuardSettings[];
  /** Valid limits, as plain data; absent = none. */
  readonly limits?: readonly LimitSettings[];
  /** Valid entries of tenants, as plain data; absent = none. */
  readonly tenants?: readonly TenantSettings[];
  /** Identity providers; absent = none. */
  readonly issuers?: readonly IssuerSettings[];
  /** The mappings of client certificates; absent = there is no such section. */
  readonly clientCertificates?: CertificateSettings;
  readonly tokenRules: TokenRules;
  /** The exchange of tokens; absent = off. */
  readonly tokenExchange?: TokenExchangeSettings;
  /** The named keys of `gateway.keys_file`; absent = there is no such file. */
  readonly namedKeys?: readonly NamedKeySettings[];
}

/** No policy file: no further keys, no rules, and nothing required of tokens. */
export const NO_POLICY: PolicySettings = Object.freeze({
  signingKeys: Object.freeze([]),
  rules: Object.freeze([]),
  tokenRules: Object.freeze({
    patterns: false,
    requireExp: false,
    maxLifetime: undefined,
    requireAccess: false,
    refuseManage: false,
    minSecretBytes: 0,
  }),
});

/** Inputs for reading a policy file. */
export interface PolicySources {
  readonly cwd: string;
  readonly readFile: ReadFile;
  /** Default: a text is the secret itself. */
  readonly secretOf?: SecretOf | undefined;
  /** The configured keys. */
  readonly keys: Keys;
  /** Operation names that rules may use; not checked if absent. */
  readonly operations?: KnownOperations | undefined;
  /** The place where `gateway.policy_file` was set. */
  readonly place: string;
  /** Ids of named keys; `undefined` = there is no file of them. */
  readonly namedKeys?: readonly string[] | undefined;
}

/** A policy as far as it could be read. */
export interface PolicyPreview {
  readonly policy: PolicySettings;
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

const NOTHING: PolicyPreview = { policy: NO_POLICY, problems: [], warnings: [] };

/** Reads the policy file of a configuration, if there is one, with all problems and their places. Does not throw. */
export function readPolicy(config: Config, sources: PolicySources): PolicyPreview {
  const file = config.gateway.policy_file;
  if (file === null) return NOTHING;
  let bytes: Buffer;
  try {
    bytes = sources.readFile(resolve(sources.cwd, file));
  } catch (error) {
    const message = `cannot read the policy file \`${file}\`: ${reason(error)}`;
    return { ...NOTHING, problems: [{ place: sources.place, message }] };
  }
  return readPolicyText(file, bytes.toString('utf8'), config, sources);
}

function readPolicyText(file: string, text: string, config: Config, sources: PolicySources): PolicyPreview {
  const tree = readYamlTree(file, text);
  if (tree.problems.length > 0) return { ...NOTHING, problems: tree.problems };
  // A truncated file must not count as an empty policy.
  if (tree.value === null || tree.value === undefined) {
    const message = 'the file is empty: write `rules: []` for a policy without rules';
    return { ...NOTHING, problems: [{ place: tree.placeOf([]), message }] };
  }
  const problems: Problem[] = [];
  const sections = sectionsOf(tree, problems);
  const read = { tree, problems };
  const signingKeys = entriesOf(read, 'signing_keys', sections.signing_keys, signingKeySchema);
  const rules: readonly PolicyEntry<RuleSettings>[] = entriesOf(read, 'rules', sections.rules, ruleSchema);
  const guards: readonly PolicyEntry<GuardSettings>[] = entriesOf(read, 'guards', sections.guards, guardSchema);
  const limits: readonly PolicyEntry<LimitSettings>[] = entriesOf(read, 'limits', sections.limits, limitSchema);
  const tenants: readonly PolicyEntry<TenantSettings>[] = entriesOf(read, 'tenants', sections.tenants, tenantSchema);
  const rawIssuers = entriesOf(read, 'issuers', sections.issuers, issuerSchema);
  const { issuers, problems: unread } = readIssuers(rawIssuers, { ...sources, tree });
  problems.push(...unread);
  const clientCertificates = readCertificates(read, sections.client_certificates, sources.operations);
  const jwtRbac = config.service.jwt_rbac === true;
  const enforced = config.gateway.mode === 'enforce';
  const lists = { signingKeys, rules, guards, limits, tenants, issuers: rawIssuers };
  const found = checkPolicy({ ...sources, tree, ...lists, certificates: clientCertificates?.id, jwtRbac, enforced });
  const tokenRules = tokenRulesOf(read, sections);
  const settings = readTokenExchange(read, sections.token_exchange);
  const { minSecretBytes } = tokenRules;
  exchangeProblems(read, {
    ...{ settings, signingKeys, secrets: found.signingKeys, keys: sources.keys, config, minSecretBytes },
  });
  return {
    policy: Object.freeze({
      signingKeys: found.signingKeys,
      rules: rules.flatMap(({ entry }) => entry ?? []),
      ...(guards.length > 0 && { guards: guards.flatMap(({ entry }) => entry ?? []) }),
      ...(limits.length > 0 && { limits: limits.flatMap(({ entry }) => entry ?? []) }),
      ...(issuers.length > 0 && { issuers: Object.freeze(issuers) }),
      ...(clientCertificates && { clientCertificates }),
      ...(tenants.length > 0 && { tenants: tenants.flatMap(({ entry }) => entry ?? []) }),
      tokenRules,
      ...(settings && { tokenExchange: settings }),
    }),
    problems: [...problems, ...found.problems].sort(byPlace),
    warnings: found.warnings,
  };
}

interface Sections {
  readonly signing_keys?: readonly unknown[];
  readonly rules?: readonly unknown[];
  readonly guards?: readonly unknown[];
  readonly limits?: readonly unknown[];
  readonly tenants?: readonly unknown[];
  readonly issuers?: readonly unknown[];
  readonly client_certificates?: unknown;
  readonly token_patterns?: unknown;
  readonly tokens?: unknown;
  readonly token_exchange?: unknown;
}

/** The members, unchecked but for lists being lists; any other member is a problem. */
function sectionsOf(tree: YamlTree, problems: Problem[]): Sections {
  const allowed = Object.keys(policySchema.shape);
  const { value } = tree;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.push({ place: tree.placeOf([]), message: 'the file must have `signing_keys` or `rules`' });
    return {};
  }
  const sections: Record<string, unknown> = {};
  for (const [name, section] of Object.entries(value)) {
    if (!allowed.includes(name)) {
      problems.push({ place: tree.placeOfKey([name]), message: unknownField(name, allowed) });
    } else if (LISTS.has(name) && !Array.isArray(section)) {
      problems.push({ place: tree.placeOf([name]), message: `\`${name}\` must be a list` });
    } else {
      sections[name] = section;
    }
  }
  return sections;
}

const LISTS: ReadonlySet<string> = new Set(['signing_keys', 'rules', 'guards', 'limits', 'tenants', 'issuers']);

function tokenRulesOf({ tree, problems }: Reading, { token_patterns: patterns, tokens }: Sections): TokenRules {
  if (patterns !== undefined && typeof patterns !== 'boolean') {
    problems.push({ place: tree.placeOf(['token_patterns']), message: '`token_patterns` must be true or false' });
  }
  const parsed = tokens === undefined ? undefined : tokensSchema.safeParse(tokens);
  for (const issue of parsed?.error?.issues ?? []) {
    problems.push(...issueProblems(tree, ['tokens'], issue, tokensSchema));
  }
  const own = parsed?.data;
  return Object.freeze({
    patterns: patterns === true,
    requireExp: own?.require_exp ?? false,
    maxLifetime: own?.max_lifetime,
    requireAccess: own?.require_access ?? false,
    refuseManage: own?.refuse_manage ?? false,
    minSecretBytes: own?.min_secret_bytes ?? 0,
  });
}
