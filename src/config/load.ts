import { resolve } from 'node:path';
import {
  CONFIG_FILE_VARIABLE,
  readEnvironment,
  readServiceVariables,
  readVariable,
  type ServiceVariables,
} from './environment.ts';
import { readBounded } from './files/bounded-read.ts';
import { carriedProblems } from './keys/carried.ts';
import { readNamedKeys } from './keys/file.ts';
import { sharedProblems } from './keys/shared-rules.ts';
import { type Layer, LayerBuilder, type Setting } from './layer.ts';
import { isLevelFilter } from './log-level.ts';
import { allowedValues, type Option, optionAt } from './options.ts';
import { originProblems, originWarnings } from './origin-rules.ts';
import type { KnownOperations } from './policy/access-problems.ts';
import { NO_POLICY, type PolicySettings, readPolicy } from './policy/file.ts';
import { keysWithoutTenant, signersUnbound } from './policy/tenants.ts';
import { ConfigError, type Problem, reason } from './problem.ts';
import { proxyProblems, proxyWarnings } from './proxy-rules.ts';
import { completenessProblems, keyProblems, keyWarnings } from './rules.ts';
import { type Config, configSchema } from './schema.ts';
import { KEY_NAMES, type ReadFile, readKeys } from './secrets.ts';
import { acmeProblems } from './sections/acme-rules.ts';
import { certificateProblems, mappingProblems, mappingWarnings } from './sections/client-certificates.ts';
import { upstreamKeyWarnings } from './upstream/key-rules.ts';
import { readYaml } from './yaml/file.ts';

/** Flags of the command line, by commander's names. */
export type Flags = {
  readonly config?: string | undefined;
  readonly upstream?: string | undefined;
  readonly upstreamGrpc?: string | undefined;
  readonly httpPort?: string | undefined;
  readonly grpcPort?: string | undefined;
  readonly host?: string | undefined;
  readonly tls?: boolean | undefined;
  readonly cert?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Of commands that ask about a policy: another policy file. */
  readonly policyFile?: string | undefined;
};

/** Sources of the configuration. Default: those of the process. */
export type Sources = {
  readonly argv?: Flags;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly readFile?: ReadFile;
  /** Operation names that rules may use; not checked if absent. */
  readonly operations?: KnownOperations;
  /** Defaults by dotted path, which take precedence over the built-in ones only. */
  readonly defaults?: Readonly<Record<string, unknown>>;
};

/** A valid configuration with warnings for the operator. */
export type Loaded = {
  readonly config: Config;
  readonly policy: PolicySettings;
  readonly warnings: readonly string[];
};

/** A configuration as far as it could be read; `config` is null if an option is invalid. */
export type Preview = {
  readonly config: Config | null;
  readonly policy: PolicySettings;
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
  /** The place where an option was set: `file:line:column`, a variable or a flag; its path if it was not. */
  readonly placeOf: (path: string) => string;
  /** The configuration file; `undefined` = none. */
  readonly file: string | undefined;
};

const FLAG_PATHS: Readonly<Record<Exclude<keyof Flags, 'config'>, readonly [flag: string, path: string]>> = {
  upstream: ['--upstream', 'gateway.upstream.rest_url'],
  upstreamGrpc: ['--upstream-grpc', 'gateway.upstream.grpc_url'],
  httpPort: ['--http-port', 'service.http_port'],
  grpcPort: ['--grpc-port', 'service.grpc_port'],
  host: ['--host', 'service.host'],
  tls: ['--tls', 'service.enable_tls'],
  cert: ['--cert', 'tls.cert'],
  keyFile: ['--key-file', 'tls.key'],
  policyFile: ['--policy', 'gateway.policy_file'],
};

function readFlags(flags: Flags): Layer {
  const layer = new LayerBuilder();
  for (const [name, [flag, path]] of Object.entries(FLAG_PATHS)) {
    const value = Object.entries(flags).find(([one]) => one === name)?.[1];
    const unset = value === '' && optionAt(path)?.nullable === true;
    if (value !== undefined) layer.add(path, unset ? null : value, flag);
  }
  return layer.build();
}

function readDefaults(defaults: Readonly<Record<string, unknown>>): Layer {
  const layer = new LayerBuilder();
  for (const [path, value] of Object.entries(defaults)) layer.add(path, value, path);
  return layer.build();
}

function readConfigFile(file: string, cwd: string, readFile: ReadFile): Layer {
  try {
    return readYaml(file, readFile(resolve(cwd, file)).toString('utf8'));
  } catch (error) {
    const message = `cannot read the configuration file: ${reason(error)}`;
    return { settings: [], problems: [{ place: file, message }], warnings: [] };
  }
}

const YES = new Set(['1', 'true', 'on', 'yes']);
const NO = new Set(['0', 'false', 'off', 'no']);

// Upstream: text of any source is read by the type of the option (Qdrant 1.19).
function coerce(option: Option, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const lower = value.trim().toLowerCase();
  if (option.kind.type === 'boolean') {
    if (YES.has(lower)) return true;
    if (NO.has(lower)) return false;
  }
  if (option.kind.type === 'integer' && /^[+-]?[0-9]{1,15}$/.test(lower)) return Number(lower);
  return value;
}

function nest(settings: ReadonlyMap<string, Setting>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const { path, value } of settings.values()) {
    const option = optionAt(path);
    const parts = path.split('.');
    const last = parts.pop();
    let node = root;
    for (const part of parts) {
      const next = node[part];
      const child: Record<string, unknown> = typeof next === 'object' && next !== null ? { ...next } : {};
      node[part] = child;
      node = child;
    }
    if (last !== undefined && option !== undefined) node[last] = coerce(option, value);
  }
  return root;
}

function valueProblem(option: Option, setting: Setting): Problem {
  const { value, place } = setting;
  if (option.secret && value === '') {
    return { place, message: `the key is empty: set a key, or remove \`${option.path}\`` };
  }
  if (option.kind.type === 'text' && typeof value !== 'string' && value !== null) {
    return { place, message: `\`${option.path}\` must be text: put it in quotes` };
  }
  // A mistyped address may carry a password before its `@`.
  const hidden = option.secret || String(value).includes('@');
  const shown = hidden ? '' : `, not \`${String(value)}\``;
  return { place, message: `\`${option.path}\` must be ${allowedValues(option)}${shown}` };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) deepFreeze(child);
    Object.freeze(value);
  }
  return value;
}

/** Merges layers, lowest first: the last setting of each option wins, with its place. */
function merge(layers: readonly Layer[]): Map<string, Setting> {
  return new Map(layers.flatMap(({ settings }) => settings.map((setting) => [setting.path, setting] as const)));
}

/**
 * Upstream: a key that is set and empty counts as unset, with a warning (Qdrant v1.19.0). A gateway that is left without
 * any key does not start.
 */
function settleEmptyKeys(settings: Map<string, Setting>): readonly string[] {
  return KEY_NAMES.flatMap((name) => {
    const path = `service.${name}`;
    const setting = settings.get(path);
    if (setting?.value !== '') return [];
    settings.set(path, { ...setting, value: null });
    return `${setting.place}: the key is empty and counts as unset, as in Qdrant`;
  });
}

/** Upstream: a text that is not a filter of its logging library is ignored (Qdrant v1.19.0). */
function levelWarnings(settings: ReadonlyMap<string, Setting>): readonly string[] {
  const setting = settings.get('log_level');
  if (typeof setting?.value !== 'string' || isLevelFilter(setting.value)) return [];
  const option = optionAt('log_level');
  return option ? [`${setting.place}: \`log_level\` is not ${allowedValues(option)}: info is used`] : [];
}

function parse(settings: ReadonlyMap<string, Setting>): { config: Config | null; problems: Problem[] } {
  const parsed = configSchema.safeParse(nest(settings));
  if (parsed.success) return { config: deepFreeze(parsed.data), problems: [] };
  const paths = new Set(parsed.error.issues.map(({ path }) => path.map(String).join('.')));
  const problems = [...paths].map((path) => {
    const option = optionAt(path);
    const setting = settings.get(path);
    if (option === undefined || setting === undefined) return { place: path || 'configuration', message: 'not valid' };
    return valueProblem(option, setting);
  });
  return { config: null, problems };
}

/**
 * Reads defaults < file < environment < flags and checks every value, but not whether the configuration is complete (an
 * upstream, a key). Never throws for the content of a source.
 */
export function previewConfig(sources: Sources = {}): Preview {
  const { argv = {}, env = process.env, cwd = process.cwd(), readFile = readBounded, defaults = {} } = sources;
  const { operations } = sources;
  const file = argv.config ?? readVariable(env, CONFIG_FILE_VARIABLE);
  const layers = [
    readDefaults(defaults),
    ...(file === undefined || file === '' ? [] : [readConfigFile(file, cwd, readFile)]),
    readEnvironment(env),
    readFlags(argv),
  ];
  const settings = merge(layers);
  const settled = [...settleEmptyKeys(settings), ...levelWarnings(settings)];
  const { config, problems } = parse(settings);
  const placeOf = (path: string) => settings.get(path)?.place ?? path;
  const rules: Problem[] = [];
  let policy = NO_POLICY;
  const warnings = [...layers.flatMap((layer) => layer.warnings), ...settled];
  if (config !== null) {
    const keys = readKeys(config, { cwd, readFile }, placeOf);
    rules.push(
      ...keys.problems,
      ...keyProblems(config, keys.keys, placeOf),
      ...proxyProblems(config, placeOf),
      ...originProblems(config, placeOf),
      ...certificateProblems(config, placeOf),
      ...sharedProblems(config, placeOf),
      ...acmeProblems(config, placeOf),
    );
    warnings.push(...proxyWarnings(config, placeOf), ...originWarnings(config, placeOf));
    const named = readNamedKeys(config, { cwd, readFile, operations, place: placeOf('gateway.keys_file') });
    // Ids in Redis are not known here.
    const namedKeys = named.keys?.map(({ id }) => id) ?? (config.gateway.shared.keys ? [] : undefined);
    const place = placeOf('gateway.policy_file');
    const read = readPolicy(config, { cwd, readFile, keys: keys.keys, operations, place, namedKeys });
    policy = named.keys ? { ...read.policy, namedKeys: named.keys } : read.policy;
    rules.push(...named.problems, ...read.problems);
    if (read.problems.length === 0) {
      rules.push(...carriedProblems(config, policy), ...mappingProblems(config, policy, placeOf));
      warnings.push(...mappingWarnings(config, policy, placeOf));
    }
    warnings.push(...keyWarnings(config, keys.keys, placeOf, policy), ...read.warnings);
    warnings.push(...upstreamKeyWarnings(config), ...keysWithoutTenant(policy.tenants, policy.namedKeys));
    if (config.service.jwt_rbac) {
      const signers = policy.signingKeys.map(({ id }) => id);
      const second = keys.keys.alt_api_key === null ? [] : ['alt_api_key'];
      warnings.push(
        ...signersUnbound(policy.tenants, [
          [second, ['api_key']],
          [signers, signers],
        ]),
      );
    }
  }
  const found = [...layers.flatMap((layer) => layer.problems), ...problems, ...rules];
  return { config, policy, problems: found, warnings, placeOf, file: file === '' ? undefined : file };
}

/** Required options that a preview lacks. */
export function missingIn({ config, policy }: Preview): readonly Problem[] {
  return config === null ? [] : completenessProblems(config, policy);
}

/** The value of a variable that a command was told to read; `undefined` = not set. Default: the environment of the process. */
export function environmentVariable(
  name: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  return env[name];
}

/** Names of set variables that configure a gateway. Default: the environment of the process. */
export function configuringVariables(env: Readonly<Record<string, string | undefined>> = process.env): string[] {
  return Object.keys(env).filter((name) => /^QDRANT_/i.test(name));
}

/** The variables of the service manager. Default: the environment of the process. */
export function serviceVariables(env: Readonly<Record<string, string | undefined>> = process.env): ServiceVariables {
  return readServiceVariables(env);
}

/**
 * The complete configuration, frozen. Throws `ConfigError` with all problems and their places. Default: the environment
 * of the process, which is read nowhere else.
 */
export function loadConfig(sources: Sources = {}): Loaded {
  const preview = previewConfig(sources);
  const { config, policy, problems, warnings } = preview;
  const missing = missingIn(preview);
  if (config === null || problems.length + missing.length > 0) throw new ConfigError([...problems, ...missing]);
  return { config, policy, warnings };
}
