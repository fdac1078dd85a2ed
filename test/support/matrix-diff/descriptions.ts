/*
 * Readers of what a Qdrant release describes of itself: OpenAPI, the Python client generated from it, and proto files.
 */

/** A description that is not one; the message tells which and why. */
export class BadDescription extends Error {}

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

const PYTHON_CALL = /method="([A-Z]+)",\s*url="([^"]+)"/g;

/** Every route of a module of the generated Python client (`qdrant_client/http/api/*.py`); none if it calls nothing. */
export function pythonRoutesOf(module: string): string[] {
  return [...module.matchAll(PYTHON_CALL)].map(([, method = '', path = '']) => routeOf(method, path));
}

const FIELD_TOKEN =
  /\bpackage\s+([\w.]+)\s*;|\b(message|enum|oneof|service|extend)\s+(\w+)\s*\{|((?:map\s*<[^>]*>|[\w.]+))\s+(\w+)\s*=\s*(\d+)|(?<=[{;\]]\s*)(\w+)\s*=\s*(-?\d+)|[{}]/g;

/**
 * Every field and enum value of a `.proto` text, as `qdrant.Query.text = 12 TextQuery` and `qdrant.Distance.Cosine = 1`.
 * Fields of a `oneof` are those of its message. Throws `BadDescription`.
 */
export function fieldsOf(proto: string): string[] {
  const text = proto.replace(PROTO_NOISE, ' ');
  const open: { readonly kind: string; readonly name: string }[] = [];
  const fields: string[] = [];
  let packageName = '';
  for (const [token, named, kind, opened, type, field, number, value, constant] of text.matchAll(FIELD_TOKEN)) {
    const path = [packageName, ...open.filter((one) => one.kind !== 'oneof').map(({ name }) => name)].join('.');
    if (named !== undefined) packageName = named;
    else if (kind !== undefined && opened !== undefined) open.push({ kind, name: opened });
    else if (type !== undefined && isIn(open, 'message')) fields.push(`${path}.${field} = ${number} ${type}`);
    else if (value !== undefined && open.at(-1)?.kind === 'enum') fields.push(`${path}.${value} = ${constant}`);
    else if (token === '{') open.push({ kind: 'other', name: '' });
    else if (token === '}' && !open.pop()) throw new BadDescription('more braces are closed than opened');
  }
  if (open.length > 0) throw new BadDescription('ends before its braces are closed');
  return fields;
}

/** True = the innermost braces are a message's, or a `oneof` in one. */
function isIn(open: readonly { readonly kind: string }[], kind: string): boolean {
  const last = open.at(-1)?.kind;
  return last === kind || (last === 'oneof' && open.at(-2)?.kind === kind);
}

/** A file as it was read. */
export type Described = readonly [name: string, text: string];

/** Reads a description; a fault in it names the file. */
export function within<Result>(name: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw error instanceof Error ? new BadDescription(`${name}: ${error.message}`) : error;
  }
}
