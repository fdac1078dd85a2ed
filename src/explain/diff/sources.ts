import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { PolicySettings } from '../../config/policy/file.ts';
import type { CertificateSettings } from '../../policy/mapping/certificates.ts';
import type { IssuerSettings, PublishedKey } from '../../policy/mapping/issuer.ts';
import type { MappingSettings } from '../../policy/mapping/mapper.ts';

/*
 * Differences of `issuers` and `client_certificates` themselves: who is accepted, and what claims give. Verdicts tell what a mapping
 * gives; these tell each setting, whatever it is. Nothing here is secret: keys are public, and long texts are told by their digest.
 */

/** A source of claims, one of its mappings, or another part of the file that another policy has differently. Plain data. */
export interface SourceChange {
  readonly kind: 'added' | 'removed' | 'changed';
  /** `issuer corp`, `issuer corp, mapping readers`, `client certificates`, `tokens`, `signing key app`. */
  readonly part: string;
  /** The settings that differ, or all of an added or removed part. */
  readonly settings: readonly SettingChange[];
}

/** A setting with its name in the file. Absent = it is not set. */
export interface SettingChange {
  readonly setting: string;
  readonly from?: string;
  readonly to?: string;
}

/** A part of the file, as a record of settings. */
export type Part = Readonly<Record<string, unknown>>;
export type Parts = ReadonlyMap<string, Part>;

/** Every difference between the sources of two policies, but for examples, which give nothing. */
export function sourceChanges(
  old: Pick<PolicySettings, 'issuers' | 'clientCertificates'>,
  next: Pick<PolicySettings, 'issuers' | 'clientCertificates'>,
): readonly SourceChange[] {
  return changedParts(partsOf(old), partsOf(next));
}

/** Every difference between these parts. */
export function changedParts(before: Parts, after: Parts): readonly SourceChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((part): SourceChange | [] => {
    const [from, to] = [before.get(part), after.get(part)];
    const settings = settingChanges(from ?? NOTHING, to ?? NOTHING);
    if (!from || !to) return { kind: from ? 'removed' : 'added', part, settings };
    return settings.length > 0 ? { kind: 'changed', part, settings } : [];
  });
}

const NOTHING: Part = Object.freeze({});

function partsOf({ issuers = [], clientCertificates }: Pick<PolicySettings, 'issuers' | 'clientCertificates'>): Parts {
  const sources: readonly (readonly [string, IssuerSettings | CertificateSettings])[] = [
    ...issuers.map((issuer) => [`issuer ${issuer.id}`, issuer] as const),
    ...(clientCertificates ? [['client certificates', clientCertificates] as const] : []),
  ];
  return new Map(
    sources.flatMap(([label, { mappings, examples: _examples, ...own }]): readonly (readonly [string, Part])[] => [
      // Their order is that of the ids in the audit log, and of the reasons for a refusal.
      [label, { ...flat(own), 'order of mappings': mappings.map(({ id }) => id) }],
      ...mappings.map((mapping: MappingSettings) => [`${label}, mapping ${mapping.id}`, { ...mapping }] as const),
    ]),
  );
}

/** The settings of `source` are settings of the issuer in the file. */
function flat(own: object): Part {
  if (!('source' in own) || typeof own.source !== 'object') return { ...own };
  const { source, ...more } = own;
  return { ...more, ...source };
}

function settingChanges(from: Part, to: Part): readonly SettingChange[] {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return names.flatMap((name) => {
    if (isDeepStrictEqual(from[name], to[name]) || isReorderedAlone(name, from[name], to[name])) return [];
    const texts = [shown(name, from[name]), shown(name, to[name])];
    const [before, after] = texts;
    return {
      setting: NAMES[name] ?? name,
      ...(before !== undefined && { from: before }),
      ...(after !== undefined && { to: after }),
    };
  });
}

/** True = entries were added or removed, which are told on their own, and the others stand in the same order. */
function isReorderedAlone(name: string, from: unknown, to: unknown): boolean {
  if (!name.startsWith(ORDER)) return false;
  if (!Array.isArray(from) || !Array.isArray(to)) return true;
  return isDeepStrictEqual(
    from.filter((id) => to.includes(id)),
    to.filter((id) => from.includes(id)),
  );
}

const ORDER = 'order of ';

/** Names of settings in the policy file, where they differ. */
const NAMES: Readonly<Record<string, string>> = {
  from: 'source of the keys',
  url: 'URL of the keys',
  ca: 'ca_file',
  bearerTokenFile: 'bearer_token_file',
  refreshMs: 'refresh',
  coolDownMs: 'cool_down',
  maxStaleMs: 'max_stale',
  maxLifetime: 'max_lifetime',
  clockSkew: 'clock_skew',
};

function shown(name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (name === 'ca') return `sha256 ${digestOf(value)}`;
  if (name === 'keys' && Array.isArray(value)) return keysText(value);
  if (name.endsWith('Ms') && typeof value === 'number') return `${value / 1000} s`;
  if (name.startsWith(ORDER) && Array.isArray(value)) return value.join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function keysText(keys: readonly PublishedKey[]): string {
  const ids = keys.map(({ kid, kty }) => kid ?? `${kty} without kid`).join(', ');
  return `${ids} (sha256 ${digestOf(keys)})`;
}

/** The first digits of a digest: enough to see that two texts differ. */
function digestOf(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
