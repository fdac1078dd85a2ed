import { X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import type { IssuerSettings, KeySource } from '../../../policy/mapping/issuer.ts';
import type { MappingSettings } from '../../../policy/mapping/mapper.ts';
import { type Problem, reason } from '../../problem.ts';
import type { ReadFile } from '../../secrets.ts';
import type { YamlTree } from '../../yaml/tree.ts';
import type { KnownOperations, Report } from '../access-problems.ts';
import type { PolicyEntry } from '../schema.ts';
import { ALGORITHM_NAMES } from './algorithms.ts';
import { checkExamples, checkMappings, checkPath } from './checks.ts';
import { MAX_KEY_SET_BYTES, NO_KEY, readKeySet } from './key-set.ts';
import { metadataUrl, readKeyUrl } from './key-url.ts';
import { PLAIN, PRESETS, type Preset } from './presets.ts';
import type { RawIssuer, RawMapping } from './schema.ts';

/** Inputs for reading issuers. */
export interface IssuerSources {
  readonly tree: YamlTree;
  readonly cwd: string;
  readonly readFile: ReadFile;
  readonly operations?: KnownOperations | undefined;
}

/** The issuers that could be read, and all problems. */
export interface IssuersRead {
  readonly issuers: readonly IssuerSettings[];
  readonly problems: readonly Problem[];
}

const DEFAULTS = { clockSkew: 30, refresh: 300, coolDown: 30, maxStale: 86_400 };

/** Reads the valid entries of `issuers`: presets, URLs and files. */
export function readIssuers(entries: readonly PolicyEntry<RawIssuer>[], sources: IssuerSources): IssuersRead {
  const problems: Problem[] = [];
  const seen = new Map<string, string>();
  const issuers = entries.flatMap(({ entry, at }) => {
    if (!entry) return [];
    const report: Report = (path, message) =>
      problems.push({ place: sources.tree.placeOf(['issuers', at, ...path]), message });
    const read = readIssuer(entry, at, sources, report);
    if (!read) return [];
    const other = seen.get(read.issuer);
    if (other !== undefined) report([], `the issuer \`${other}\` has the same \`issuer\`: merge the two entries`);
    seen.set(read.issuer, read.id);
    return read;
  });
  return { issuers, problems };
}

function readIssuer(entry: RawIssuer, at: number, sources: IssuerSources, report: Report): IssuerSettings | undefined {
  const preset: Partial<Preset> = entry.preset === undefined ? PLAIN : PRESETS[entry.preset];
  const { operations, tree } = sources;
  checkMappings(entry.mappings, operations, (path, message) => report(['mappings', ...path], message));
  checkExamples(entry, operations, (path, message) => report(['examples', ...path], message));
  checkPath(entry.subject, (message) => report(['subject'], message));
  const issuer = entry.issuer ?? preset.issuer;
  if (issuer === undefined) {
    report([], `the issuer \`${entry.id}\` needs \`issuer\`, the exact text of \`iss\``);
    return undefined;
  }
  const source = sourceOf(entry, issuer, preset, sources, report);
  if (!source) return undefined;
  return Object.freeze({
    ...{ id: entry.id, issuer, audiences: entry.audiences, source },
    algorithms: entry.algorithms ?? preset.algorithms ?? ALGORITHM_NAMES,
    types: entry.types?.map(typeOf) ?? preset.types ?? [],
    maxLifetime: entry.max_lifetime,
    clockSkew: entry.clock_skew ?? DEFAULTS.clockSkew,
    subject: entry.subject ?? preset.subject ?? 'sub',
    mappings: entry.mappings.map(mappingOf),
    examples: (entry.examples ?? []).map(({ claims, access, refused }, index) => ({
      ...{ place: tree.placeOf(['issuers', at, 'examples', index]), claims: JSON.stringify(claims), access, refused },
    })),
  });
}

/** RFC 7515 section 4.1.9: `application/` may be left out, and case does not count. */
function typeOf(type: string): string {
  return type.toLowerCase().replace(/^application\//, '');
}

/** A mapping as plain settings. */
export function mappingOf({ id, claim, value, values, access, tenant, tenant_from }: RawMapping): MappingSettings {
  return Object.freeze({
    ...{ id, claim, access, tenant_from },
    values: value === undefined ? values : [value],
    tenant: tenant === undefined || Array.isArray(tenant) ? tenant : [tenant],
  });
}

function sourceOf(
  entry: RawIssuer,
  issuer: string,
  { keys }: Partial<Preset>,
  sources: IssuerSources,
  report: Report,
): KeySource | undefined {
  const { jwks_url: jwksUrl, jwks_file: jwksFile } = entry;
  if (jwksFile !== undefined) return fileSource(entry, jwksFile, sources, report);
  const byPreset = jwksUrl === undefined ? keys : undefined;
  const [text, from] = urlOf(jwksUrl ?? byPreset?.url, issuer);
  const read = readKeyUrl(text);
  if (typeof read === 'string') {
    const hint = from === 'url' ? '' : ', or set `jwks_url` or `jwks_file`';
    report([from === 'url' ? 'jwks_url' : 'issuer'], `\`${from === 'url' ? 'jwks_url' : 'issuer'}\` ${read}${hint}`);
    return undefined;
  }
  if (from === 'discovery' && entry.bearer_token_file !== undefined) {
    report(['bearer_token_file'], '`bearer_token_file` needs `jwks_url`: the token is for one address');
  }
  if ((entry.max_stale ?? DEFAULTS.maxStale) <= (entry.refresh ?? DEFAULTS.refresh)) {
    report(['max_stale'], '`max_stale` must be longer than `refresh`, or keys are missing between two fetches');
  }
  const caFile = entry.ca_file ?? byPreset?.caFile;
  const ca = caFile === undefined ? undefined : readCa(caFile, sources, (said) => report(['ca_file'], said));
  const bearer = entry.bearer_token_file ?? byPreset?.bearerTokenFile;
  return Object.freeze({
    ...{ from, url: read.url, ca },
    bearerTokenFile: bearer === undefined ? undefined : resolve(sources.cwd, bearer),
    refreshMs: (entry.refresh ?? DEFAULTS.refresh) * 1000,
    coolDownMs: (entry.cool_down ?? DEFAULTS.coolDown) * 1000,
    maxStaleMs: (entry.max_stale ?? DEFAULTS.maxStale) * 1000,
  });
}

function urlOf(url: string | undefined, issuer: string): readonly [text: string, from: 'url' | 'discovery'] {
  return url === undefined ? [metadataUrl(issuer), 'discovery'] : [url, 'url'];
}

function fileSource(entry: RawIssuer, file: string, sources: IssuerSources, report: Report): KeySource | undefined {
  for (const field of ['jwks_url', 'ca_file', 'bearer_token_file', 'refresh', 'cool_down', 'max_stale'] as const) {
    if (entry[field] !== undefined) report([field], `\`${field}\` contradicts \`jwks_file\`: remove one of them`);
  }
  const said = (message: string): undefined => void report(['jwks_file'], message);
  const text = readText(file, 'the key set', sources, said);
  if (text === undefined) return undefined;
  if (Buffer.byteLength(text) > MAX_KEY_SET_BYTES) return said(`the key set \`${file}\` is larger than 1 MiB`);
  const set = readKeySet(text);
  if (typeof set === 'string') return said(`the key set \`${file}\` cannot be used: ${set}`);
  if (set.forgeable > 0) {
    return said(
      `the key set \`${file}\` holds a key under which signatures can be forged, such as RSA with an exponent below 3: remove it`,
    );
  }
  if (set.keys.length === 0) return said(`the key set \`${file}\` cannot be used: ${NO_KEY}`);
  if (set.secret > 0) return said(`the key set \`${file}\` holds a secret key: keep the public members only`);
  return Object.freeze({ from: 'file', keys: set.keys });
}

function readCa(file: string, sources: IssuerSources, report: (message: string) => void): string | undefined {
  const text = readText(file, 'the CA', sources, report);
  try {
    if (text !== undefined) new X509Certificate(text);
  } catch {
    report(`the CA \`${file}\` cannot be used: it is not PEM`);
  }
  return text;
}

function readText(
  file: string,
  what: string,
  { cwd, readFile }: IssuerSources,
  report: (message: string) => void,
): string | undefined {
  try {
    return readFile(resolve(cwd, file)).toString('utf8');
  } catch (error) {
    report(`cannot read ${what} \`${file}\`: ${reason(error)}`);
    return undefined;
  }
}
