import type { DescMessage, Message } from '@bufbuild/protobuf';
import { fromBinary } from '@bufbuild/protobuf';
import type { Requirements } from '../../../src/policy/operation.ts';
import type { Grant } from './arbitraries.ts';

/*
 * The rules of access once more, as plain as they can be written: no streaming, no state, whole bodies decoded by
 * another decoder. Slow, and shares nothing with the code under test but the table's rows.
 */

/** `served`, or the text a refused client reads. */
export type Verdict = string;

export const SERVED: Verdict = 'served';
export const NO_CREDENTIAL: Verdict = 'Must provide an API key or an Authorization bearer token';
export const BAD_CREDENTIAL: Verdict = 'Invalid API key or JWT';
export const GLOBAL_NEEDED: Verdict = 'Forbidden: Global access is required';

const notListed = (name: string): Verdict => `Forbidden: Access to collection ${name} is required`;

/** Which principals meet a requirement. Upstream: the table of levels, Qdrant v1.19.0. */
const MEETS: Readonly<Record<string, string>> = {
  'collection read': 'm r list-r list-rw list-prw',
  'collection read extras': 'm r list-r list-rw',
  'collection write': 'm list-rw list-prw',
  'collection write extras': 'm list-rw',
  'collection manage extras': 'm',
  'global read': 'm r',
  'global read extras': 'm r',
  'global write': 'm',
  'global manage': 'm',
};

/**
 * May a principal do this to `target`, naming `others` in checking order?
 *
 * @param target undefined = the operation is aimed at no collection
 */
export function verdictOf(
  grant: Exclude<Grant, undefined>,
  requires: Requirements,
  target: string | undefined,
  others: readonly string[],
): Verdict {
  const { scope, level, extras } = requires;
  if (scope === 'public' || scope === 'authenticated' || scope === 'list') return SERVED;
  const meets = MEETS[`${scope} ${level}${extras ? ' extras' : ''}`]?.split(' ');
  if (!meets) throw new TypeError(`no rule for ${scope} ${level}`);
  if (typeof grant === 'string') {
    return meets.includes(grant) ? SERVED : 'Forbidden: Global manage access is required';
  }
  if (scope === 'global') return GLOBAL_NEEDED;
  const mode = grant.find(([name]) => name === target)?.[1];
  if (mode === undefined) return notListed(target ?? '');
  if (!meets.includes(`list-${mode}`)) {
    if (mode === 'prw' && extras) return `Forbidden: Only points access is allowed for collection ${target}`;
    if (mode === 'r') return `Forbidden: Write access to collection ${target} is required`;
    return 'Forbidden: Manage access for this operation is required';
  }
  const stranger = others.find((other) => grant.every(([name]) => name !== other));
  return stranger === undefined ? SERVED : notListed(stranger);
}

/** A row of the table, as far as matching goes. */
interface Row {
  readonly method: string;
  readonly path: string;
}

/** The row of decoded segments: of all that fit, the one whose literals come first. */
export function rowOf<R extends Row>(rows: readonly R[], method: string, segments: readonly string[]): R | undefined {
  const fitting = rows.filter((row) => row.method === method && fits(row.path, segments));
  return fitting.sort((one, other) => (patternOf(one.path) < patternOf(other.path) ? -1 : 1))[0];
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

function fits(path: string, segments: readonly string[]): boolean {
  const parts = partsOf(path);
  if (parts.at(-1) === '{tail}') {
    return segments.length >= parts.length && parts.slice(0, -1).every((part, i) => part === segments[i]);
  }
  return parts.length === segments.length && parts.every((part, i) => part.startsWith('{') || part === segments[i]);
}

/** Sorts literals before parameters, segment by segment. */
function patternOf(path: string): string {
  return partsOf(path)
    .map((part) => (part.startsWith('{') ? '1' : '0'))
    .join('');
}

/** The names a JSON body holds by a whole parse. `undefined` = a form that has to be refused. */
export function namesInJson(inspect: string, text: string): string[] | undefined {
  const body: unknown = JSON.parse(text);
  const names: string[] = [];
  const requests = inspect.endsWith('batch') ? member(body, 'searches') : [body];
  if (!Array.isArray(requests)) return undefined;
  const sound = requests.every((one) => namesInRequest(one, inspect, names));
  return sound ? names : undefined;
}

function namesInRequest(request: unknown, inspect: string, names: string[]): boolean {
  if (!isObject(request)) return false;
  if (inspect !== 'search-groups' && !nameIn(member(request, 'lookup_from'), false, names)) return false;
  if (inspect.startsWith('query')) {
    const given = member(request, 'prefetch') ?? [];
    const prefetches: unknown[] = Array.isArray(given) ? given : [given];
    if (!prefetches.every((one) => namesInRequest(one, 'query', names))) return false;
  }
  return !inspect.endsWith('groups') || nameIn(member(request, 'with_lookup'), true, names);
}

function nameIn(lookup: unknown, orText: boolean, names: string[]): boolean {
  if (lookup === undefined || lookup === null) return true;
  const name = orText && typeof lookup === 'string' ? lookup : isObject(lookup) && member(lookup, 'collection');
  if (typeof name !== 'string') return false;
  names.push(name);
  return true;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function member(value: unknown, key: string): unknown {
  return isObject(value) ? Object.getOwnPropertyDescriptor(value, key)?.value : undefined;
}

/** What a whole decode of a gRPC request by the official client's schema finds. */
export interface DecodedNames {
  readonly target: string;
  readonly others: readonly string[];
}

/** Decodes `bytes` whole; the decoder merges a message that is given twice and takes the last scalar, as prost does. */
export function namesInMessage(schema: DescMessage, bytes: Uint8Array): DecodedNames {
  const decoded: Message = fromBinary(schema, bytes);
  const target = text(member(decoded, 'collectionName')) ?? '';
  const others: string[] = [];
  const batch = ['searchPoints', 'recommendPoints', 'discoverPoints', 'queryPoints'].map((key) => member(decoded, key));
  collect(decoded, others);
  for (const requests of batch) if (Array.isArray(requests)) for (const one of requests) collect(one, others);
  return { target, others };
}

function collect(request: unknown, names: string[]): void {
  const lookup = member(request, 'lookupFrom');
  if (lookup !== undefined) names.push(text(member(lookup, 'collectionName')) ?? '');
  const prefetches = member(request, 'prefetch');
  if (Array.isArray(prefetches)) for (const one of prefetches) collect(one, names);
  const withLookup = member(request, 'withLookup');
  if (withLookup !== undefined) names.push(text(member(withLookup, 'collection')) ?? '');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
