import type { Resolution } from '../exchange/exchange.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../operations/rest.ts';
import { badRequest, type Denial, denial, GrpcCode, UNKNOWN_OPERATION } from '../policy/denial.ts';
import type { CodeOf } from '../policy/denial-codes.ts';
import { isDotName } from '../policy/names/dot-names.ts';
import { NO_TARGET, type RestOperation, type Target } from '../policy/operation.ts';
import { decodeSegment, isDotSegment, readTarget, splitPath, toOriginForm, writePath } from './request-target.ts';
import { type Route, RouteTable } from './route-table.ts';

/** The resolved method and request target. Later steps use this and never parse the target again. */
export interface RestResolution extends Resolution {
  readonly operation: RestOperation;
  /** Path rebuilt from the row and its decoded parameters, and the query untouched. For a plain path the same bytes. */
  readonly pathToSend: string;
  /** Decoded parameter values, in the order they have in the row's path. */
  readonly params: readonly string[];
}

export interface ResolverOptions {
  /** Whether upstream's web interface is to be had; without it its path is like any unknown one. */
  readonly staticContent: boolean;
}

/** Method and raw request target to a table row. Pure, never throws; an unknown route is the unlisted row. */
export type Resolve = (method: string, target: string) => RestResolution;

const NO_PARAMS: readonly string[] = Object.freeze([]);
/** An unknown route that is not forwarded: 404 with any valid credential. */
const NOWHERE: RestResolution = Object.freeze({
  operation: { ...UNLISTED_REST, withheld: true as const },
  target: NO_TARGET,
  pathToSend: '/',
  params: NO_PARAMS,
});
const UNREADABLE_PATH = badRequest('malformed_path', 'the path holds a malformed escape or bytes that are not UTF-8');
const NUL_IN_PATH = badRequest('malformed_path', 'the path holds a NUL');
const DOT_SEGMENT = badRequest('malformed_path', 'the path names a dot segment');

/** Upstream: what the file handler of the web interface says, Qdrant v1.18.3. */
const WRONG_FILE_METHOD = refusal('method_not_allowed', 405, "Request did not meet this resource's requirements.");
const SLASH_IN_FILE = refusal('invalid_file_path', 400, "segment contained invalid character ('/')");
const BACKSLASH_IN_FILE = refusal('invalid_file_path', 400, "segment contained invalid character ('\\')");

const DASHBOARD = 'dashboard';
/** Would have upstream repeat the request, or open a tunnel. */
const NEVER_SENT = new Set(['TRACE', 'TRACK', 'CONNECT']);

/** Resolves by what upstream serves at the moment: below `/dashboard` that depends on its web interface. */
export function createLiveResolver(webUi: { readonly present: boolean }): Resolve {
  const withUi = createResolver({ staticContent: true });
  const withoutUi = createResolver({ staticContent: false });
  return (method, target) => (webUi.present ? withUi : withoutUi)(method, target);
}

/** Builds the resolver once from the table. */
export function createResolver(options: ResolverOptions): Resolve {
  const served = REST_OPERATIONS.filter((row) => options.staticContent || !isDashboardRow(row));
  const all = new RouteTable(served);
  const open = new RouteTable(served.filter((row) => row.requires.scope === 'public'));
  // Upstream: an open pattern written with escapes is the same route, but not open any more.
  const closed = new Map(served.map((row) => [row, closedForm(row)]));

  return (method, target) => {
    const { path, query, plain } = readTarget(toOriginForm(target));
    if (!path.startsWith('/')) return NOWHERE;
    const raw = splitPath(path);
    if (!options.staticContent && raw[0] === DASHBOARD) return NOWHERE;
    const openRoute = open.match('GET', raw);
    if (openRoute) return resolveOpen(openRoute, method, raw, query);
    if (NEVER_SENT.has(method)) return NOWHERE;
    const segments = plain ? raw : decodeAll(raw);
    if (!segments) return { ...NOWHERE, refusal: UNREADABLE_PATH };
    if (!plain && segments.some((segment) => segment.includes('\0'))) return resolveNul(all.match(method, segments));
    const route = all.match(method, segments);
    const pathToSend = (plain ? path : writePath(segments)) + query;
    if (!route) return resolveUnlisted(segments, pathToSend, options);
    const operation = closed.get(route.operation) ?? route.operation;
    return resolveRoute({ ...route, operation }, segments, pathToSend);
  };
}

function resolveRoute(route: Route, segments: readonly string[], pathToSend: string): RestResolution {
  const { operation } = route;
  const params = route.parameters.map((index) => segments[index] ?? '');
  const name = segments[route.collection];
  const target: Target = name === undefined ? NO_TARGET : { kind: 'collection', name };
  const wrong = wrongName(name) ?? (segments.some(isDotSegment) ? DOT_SEGMENT : undefined);
  if (wrong && operation.anyName && name?.includes('/')) {
    return { operation, target, pathToSend, params, lateRefusal: wrong };
  }
  if (wrong) return { operation, target, pathToSend, params, refusal: wrong };
  const dotName = dotNameIn(route, segments);
  return dotName === undefined
    ? { operation, target, pathToSend, params }
    : { operation, target, pathToSend, params, dotName };
}

function dotNameIn({ names }: Route, segments: readonly string[]): string | undefined {
  for (const index of names) {
    const name = segments[index];
    if (name !== undefined && isDotName(name)) return name;
  }
  return undefined;
}

/** Open patterns: no credential is looked at, so nothing but the row itself may be reached through them. */
function resolveOpen(route: Route, method: string, raw: readonly string[], query: string): RestResolution {
  const { operation } = route;
  if (raw[0] !== DASHBOARD) {
    return method === 'GET' ? opened(operation, raw, query) : refusedOpen(operation, UNKNOWN_OPERATION);
  }
  if (method !== 'GET' && method !== 'HEAD') return refusedOpen(operation, WRONG_FILE_METHOD);
  const segments: string[] = [];
  for (const segment of raw) {
    const file = decodeSegment(segment);
    if (file === undefined) return refusedOpen(operation, UNREADABLE_PATH);
    const wrong = wrongFile(file);
    if (wrong) return refusedOpen(operation, wrong);
    segments.push(file);
  }
  return opened(operation, segments, query);
}

function opened(operation: RestOperation, segments: readonly string[], query: string): RestResolution {
  return { operation, target: NO_TARGET, pathToSend: writePath(segments) + query, params: NO_PARAMS };
}

function refusedOpen(operation: RestOperation, wrong: Denial): RestResolution {
  return { ...NOWHERE, operation: { ...operation, denial: 'text' }, refusal: wrong };
}

/** INVARIANT: no path below an open pattern leaves it, whatever normalises it on the way. */
function wrongFile(file: string): Denial | undefined {
  if (isDotSegment(file)) return UNKNOWN_OPERATION;
  if (file.includes('/')) return SLASH_IN_FILE;
  if (file.includes('\\')) return BACKSLASH_IN_FILE;
  if (file.includes('\0')) return NUL_IN_PATH;
  const first = file[0];
  if (first === '.' || first === '*')
    return refusal('invalid_file_path', 400, `segment started with invalid character: ('${first}')`);
  return undefined;
}

function resolveUnlisted(segments: readonly string[], pathToSend: string, options: ResolverOptions): RestResolution {
  const hidden = !options.staticContent && segments[0] === DASHBOARD;
  if (hidden || segments.some(isDotSegment)) return NOWHERE;
  return { operation: UNLISTED_REST, target: NO_TARGET, pathToSend, params: NO_PARAMS };
}

function resolveNul(route: Route | undefined): RestResolution {
  if (!route) return NOWHERE;
  return { ...NOWHERE, refusal: route.collection === -1 ? NUL_IN_PATH : wrongCharacter('\0') };
}

/** Upstream: names are validated before access, for every caller (Qdrant v1.18.3). */
function wrongName(name: string | undefined): Denial | undefined {
  if (name === undefined) return undefined;
  if (name.includes('/')) return wrongCharacter('/');
  if (name.length <= 255 || [...name].length <= 255) return undefined;
  return wrongParameter(`value ${JSON.stringify(name)} invalid, must be from 1 to 255 characters`);
}

function wrongCharacter(character: string): Denial {
  return wrongParameter(`collection name cannot contain "${character}" char`);
}

function wrongParameter(reason: string): Denial {
  return refusal('invalid_collection_name', 422, `Validation error in path parameters: [collection_name: ${reason}]`);
}

function decodeAll(raw: readonly string[]): string[] | undefined {
  const segments: string[] = [];
  for (const segment of raw) {
    const decoded = decodeSegment(segment);
    if (decoded === undefined) return undefined;
    segments.push(decoded);
  }
  return segments;
}

function closedForm(row: RestOperation): RestOperation {
  if (row.requires.scope !== 'public') return row;
  return { ...row, requires: { ...row.requires, scope: 'authenticated' } };
}

function isDashboardRow(row: RestOperation): boolean {
  return row.path === `/${DASHBOARD}` || row.path.startsWith(`/${DASHBOARD}/`);
}

function refusal(code: CodeOf<'request'>, status: number, message: string): Denial {
  return denial(code, status, GrpcCode.invalidArgument, message);
}
