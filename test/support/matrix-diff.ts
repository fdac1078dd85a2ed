import { readFileSync } from 'node:fs';
import { GRPC_OPERATIONS, INTERNAL_SERVICES } from '../../src/operations/grpc.ts';
import { QDRANT_VERSION } from '../../src/operations/qdrant-version.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { loadCaseFile } from './verdicts/cells.ts';

/*
 * What a (newer) Qdrant serves and our tables do not know, from its own descriptions:
 *   npm run matrix:diff -- <openapi.json> [<file>.proto]...
 * Ends with 0 when nothing is missing, 1 when something is, 2 when the input cannot be read.
 */

/** A description that is not one; the message tells which and why. */
export class BadDescription extends Error {}

/** Operations as lines: `GET /collections/{}` without parameter names, or `/qdrant.Points/Search`. */
export interface Differences {
  /** Served there, not in our tables: refused to all but global manage until they have a row. */
  readonly missing: readonly string[];
  /** In our tables as still served, not described there any more. */
  readonly gone: readonly string[];
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `GET /collections/{name}` as `GET /collections/{}`. */
export function routeOf(method: string, path: string): string {
  return `${method.toUpperCase()} ${path.replace(/\{[^}]*\}/g, '{}')}`;
}

/** Every route of an OpenAPI description in JSON. Throws `BadDescription`. */
export function routesOf(openapi: string): string[] {
  let document: unknown;
  try {
    document = JSON.parse(openapi);
  } catch {
    throw new BadDescription('not a JSON document');
  }
  if (!isObject(document) || !isObject(document.paths)) throw new BadDescription('no `paths` object: not OpenAPI');
  const routes = Object.entries(document.paths).flatMap(([path, item]) => {
    if (!path.startsWith('/') || !isObject(item)) throw new BadDescription(`not a path item: \`${path}\``);
    return METHODS.filter((method) => method in item).map((method) => routeOf(method, path));
  });
  if (routes.length === 0) throw new BadDescription('describes no route');
  return routes;
}

const PROTO_NOISE = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g;
const PROTO_TOKEN = /\bpackage\s+([\w.]+)\s*;|\bservice\s+(\w+)\s*\{|\brpc\s+(\w+)\s*\(|[{}]/g;

/** Every method of a `.proto` text; none when it declares messages only. Throws `BadDescription`. */
export function methodsOf(proto: string): string[] {
  const text = proto.replace(PROTO_NOISE, ' ');
  if (!/\b(syntax|edition|package|message|enum|service)\b/.test(text)) throw new BadDescription('not a proto file');
  let [packageName, service, depth]: [string, string | undefined, number] = ['', undefined, 0];
  const methods: string[] = [];
  for (const [token, named, opened, rpc] of text.matchAll(PROTO_TOKEN)) {
    if (named !== undefined) packageName = `${named}.`;
    else if (rpc !== undefined) {
      if (service === undefined || depth !== 1) throw new BadDescription(`rpc \`${rpc}\` stands in no service`);
      methods.push(`/${packageName}${service}/${rpc}`);
    } else {
      if (opened !== undefined) {
        if (depth !== 0) throw new BadDescription(`service \`${opened}\` stands within braces`);
        service = opened;
      }
      depth += token === '}' ? -1 : 1;
      if (depth < 0) throw new BadDescription('more braces are closed than opened');
      if (depth === 0) service = undefined;
    }
  }
  if (depth !== 0) throw new BadDescription('ends before its braces are closed');
  return methods;
}

/** Routes and methods we know that no description has, by case file. */
export function undocumented(): { readonly rest: ReadonlySet<string>; readonly grpc: ReadonlySet<string> } {
  const rest = loadCaseFile<{ routes: readonly { method: string; path: string }[] }>('undocumented-rest.json');
  const grpc = loadCaseFile<{ methods: readonly { method: string }[] }>('undocumented-grpc.json');
  return {
    rest: new Set(rest.routes.map(({ method, path }) => routeOf(method, path))),
    grpc: new Set(grpc.methods.map(({ method }) => method)),
  };
}

/** REST against the table; a route that ended in an earlier release counts as known. */
export function compareRest(routes: readonly string[]): Differences {
  const known = new Set(REST_OPERATIONS.map(({ method, path }) => routeOf(method, path)));
  const living = REST_OPERATIONS.filter(({ until }) => until === undefined);
  const expected = new Set([...undocumented().rest, ...routes]);
  return {
    missing: [...new Set(routes)].filter((route) => !known.has(route)),
    gone: living.map(({ method, path }) => routeOf(method, path)).filter((route) => !expected.has(route)),
  };
}

/** gRPC against the table; the services of the internal port are not served to clients. */
export function compareGrpc(methods: readonly string[]): Differences {
  const known = new Set(GRPC_OPERATIONS.map(({ path }) => path));
  const isInternal = (method: string): boolean => INTERNAL_SERVICES.has(method.split('/')[1] ?? '');
  const living = GRPC_OPERATIONS.filter(({ until }) => until === undefined);
  const expected = new Set([...methods, ...undocumented().grpc]);
  return {
    missing: [...new Set(methods)].filter((method) => !known.has(method) && !isInternal(method)),
    gone: living.map(({ path }) => path).filter((method) => !expected.has(method)),
  };
}

/** A file as it was read. */
export type Described = readonly [name: string, text: string];

/** Differences as lines to read, and the exit code. Throws `BadDescription`. */
export function compareDescriptions(
  [name, openapi]: Described,
  protos: readonly Described[],
): { readonly lines: readonly string[]; readonly code: 0 | 1 } {
  const routes = within(name, () => routesOf(openapi));
  const methods = protos.flatMap(([proto, text]) => within(proto, () => methodsOf(text)));
  if (protos.length > 0 && methods.length === 0) throw new BadDescription('the proto files declare no rpc');
  const parts = [compareRest(routes), ...(protos.length > 0 ? [compareGrpc(methods)] : [])];
  const missing = parts.flatMap((part) => part.missing);
  const gone = parts.flatMap((part) => part.gone);
  const read = `${routes.length} routes${protos.length > 0 ? ` and ${methods.length} gRPC methods` : ''} read`;
  return {
    lines: [
      ...missing.map((line) => `missing  ${line}`),
      ...gone.map((line) => `gone     ${line}`),
      `${read}: ${missing.length} missing from our tables of Qdrant ${QDRANT_VERSION}, ${gone.length} of ours gone`,
    ],
    code: missing.length > 0 ? 1 : 0,
  };
}

function within<Result>(name: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw error instanceof Error ? new BadDescription(`${name}: ${error.message}`) : error;
  }
}

function main([openapi, ...protos]: readonly string[]): number {
  try {
    if (openapi === undefined || [openapi, ...protos].some((name) => name.startsWith('-'))) {
      throw new BadDescription('usage: npm run matrix:diff -- <openapi.json> [<file>.proto]...');
    }
    const read = (name: string): Described => [name, within('cannot read', () => readFileSync(name, 'utf8'))];
    const { lines, code } = compareDescriptions(read(openapi), protos.map(read));
    for (const line of lines) console.log(line);
    return code;
  } catch (error) {
    if (!(error instanceof BadDescription)) throw error;
    console.error(`matrix:diff: ${error.message}`);
    return 2;
  }
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
