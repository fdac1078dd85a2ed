import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isObject, type Json } from './json.ts';
import { type Shape, ShapeReader } from './shape.ts';

/*
 * The REST models of the official TypeScript client (its declarations are made from Qdrant's own description of its API), as a
 * check on bodies and answers. Nothing here is written down a second time: another release of the client brings its own.
 */

const DECLARATIONS = './types/openapi/generated_schema.d.ts';

// Upstream: structures that refuse members they do not know; all others pass them over.
const CLOSED: ReadonlySet<string> = new Set(['Filter', 'MinShould']);

// Routes that the description no longer has, and those whose bodies have the same members with the same types.
const FORERUNNERS: Readonly<Record<string, string>> = {
  '/points/search': '/points/query',
  '/points/search/batch': '/points/query/batch',
  '/points/search/groups': '/points/query/groups',
  '/points/recommend': '/points/query',
  '/points/recommend/batch': '/points/query/batch',
  '/points/recommend/groups': '/points/query/groups',
  '/points/discover': '/points/query',
  '/points/discover/batch': '/points/query/batch',
  '/shards/{}/points': '/points',
  '/shards/{}/points/scroll': '/points/scroll',
  '/shards/{}/points/count': '/points/count',
  '/shards/{}/points/delete': '/points/delete',
};

type Models = {
  readonly schemas: ReadonlyMap<string, Shape>;
  /** By method and path with `{}` for each parameter: `PUT /collections/{}/points`. */
  readonly bodies: ReadonlyMap<string, Shape>;
  readonly answers: ReadonlyMap<string, Shape>;
  readonly queries: ReadonlyMap<string, Shape>;
};

let loaded: Models | undefined;

function fieldsOf(shape: Shape | undefined): ReadonlyMap<string, Shape> {
  if (shape?.kind !== 'object') return new Map();
  return new Map([...shape.fields].map(([name, field]) => [name, field.shape]));
}

function within(shape: Shape | undefined, ...path: string[]): Shape | undefined {
  return path.reduce<Shape | undefined>((inner, name) => fieldsOf(inner).get(name), shape);
}

function load(): Models {
  const client = import.meta.resolve('@qdrant/js-client-rest');
  const file = new URL(DECLARATIONS, client.replace(/\/dist\/.*$/, '/dist/'));
  const reader = new ShapeReader(readFileSync(fileURLToPath(file), 'utf8'));
  const paths = fieldsOf(reader.interface('paths'));
  const schemas = fieldsOf(within(reader.interface('components'), 'schemas'));
  const operations = fieldsOf(reader.interface('operations'));
  const bodies = new Map<string, Shape>();
  const answers = new Map<string, Shape>();
  const queries = new Map<string, Shape>();
  for (const [path, methods] of paths) {
    for (const [method, shape] of fieldsOf(methods)) {
      const operation = shape.kind === 'ref' ? operations.get(shape.name) : undefined;
      const key = `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, '{}')}`;
      const body = within(operation, 'requestBody', 'content', 'application/json');
      const answer = within(operation, 'responses', '200', 'content', 'application/json');
      if (body !== undefined) bodies.set(key, body);
      const query = within(operation, 'parameters', 'query');
      if (answer !== undefined) answers.set(key, answer);
      if (query !== undefined) queries.set(key, query);
    }
  }
  for (const [route, successor] of Object.entries(FORERUNNERS)) {
    const body = bodies.get(`POST /collections/{}${successor}`);
    if (body !== undefined) bodies.set(`POST /collections/{}${route}`, body);
  }
  return { schemas, bodies, answers, queries };
}

function models(): Models {
  loaded ??= load();
  return loaded;
}

/** The routes with a JSON answer that the client knows: `GET /collections/{}`. */
export function answeredRoutes(): readonly string[] {
  return [...models().answers.keys()];
}

/** The routes whose bodies have a model: `PUT /collections/{}`. */
export function bodyRoutes(): readonly string[] {
  return [...models().bodies.keys()];
}

/** What is wrong in a value, in serde's words, and the names of the members that lead to it. */
export type Complaint = { readonly text: string; readonly place: readonly string[] };

/** The first thing in a JSON body that the model of its route does not allow. */
export function bodyComplaint(method: string, path: string, body: Json): Complaint | undefined {
  const shape = models().bodies.get(`${method} ${path}`);
  return shape === undefined ? undefined : complaint(shape, body, undefined);
}

/** What is wrong in a query: a flag or a number that is none. */
export function queryComplaint(method: string, path: string, query: ReadonlyMap<string, string>): string | undefined {
  return first(fieldsOf(models().queries.get(`${method} ${path}`)), ([name, { kind }]) => {
    const given = query.get(name);
    if (given === undefined) return undefined;
    if (kind === 'boolean' && given !== 'true' && given !== 'false') {
      return says('provided string was not `true` or `false`');
    }
    return kind === 'number' && !/^\d+$/.test(given) ? says('invalid digit found in string') : undefined;
  })?.text;
}

/** The first thing an answer lacks or has otherwise than the model of its route. */
export function answerComplaint(method: string, path: string, answer: Json): Complaint | undefined {
  const shape = models().answers.get(`${method} ${path}`);
  return shape === undefined ? says('no model of this answer') : complaint(shape, answer, undefined);
}

function says(text: string): Complaint {
  return { text, place: [] };
}

function below(key: string, found: Complaint | undefined): Complaint | undefined {
  return found === undefined ? undefined : { text: found.text, place: [key, ...found.place] };
}

function shown(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'sequence';
  switch (typeof value) {
    case 'string':
      return `string ${JSON.stringify(value)}`;
    case 'boolean':
      return `boolean \`${value}\``;
    case 'object':
      return 'map';
    default:
      return Number.isInteger(Number(value)) ? `integer \`${value}\`` : `floating point \`${value}\``;
  }
}

function wrongType(value: Json, expected: string): Complaint {
  return says(`invalid type: ${shown(value)}, expected ${expected}`);
}

/** `undefined` = it fits. `name` is that of the schema we are in. */
function complaint(shape: Shape, value: Json, name: string | undefined): Complaint | undefined {
  switch (shape.kind) {
    case 'any':
      return undefined;
    case 'null':
      return value === null ? undefined : wrongType(value, 'null');
    case 'string':
    case 'boolean':
      return typeof value === shape.kind
        ? undefined
        : wrongType(value, shape.kind === 'string' ? 'a string' : 'a boolean');
    case 'number':
      return numberComplaint(shape, value);
    case 'literal':
      return value === shape.value
        ? undefined
        : says(`unknown variant \`${String(value)}\`, expected \`${shape.value}\``);
    case 'array':
      if (!Array.isArray(value)) return wrongType(value, 'a sequence');
      return first(value, (item) => complaint(shape.of, item, undefined));
    case 'tuple':
      if (!Array.isArray(value) || value.length !== shape.of.length) return wrongType(value, 'a tuple');
      return first(shape.of.keys(), (at) => complaint(shape.of[at] ?? { kind: 'any' }, value[at] ?? null, undefined));
    case 'both':
      return first(shape.of, (part) => complaint(part, value, undefined));
    case 'union':
      return unionComplaint(shape.of, value, name);
    case 'ref': {
      const known = models().schemas.get(shape.name);
      return known === undefined ? undefined : complaint(known, value, shape.name);
    }
    case 'object':
      return objectComplaint(shape, value, name);
  }
}

function first<T>(items: Iterable<T>, ask: (item: T) => Complaint | undefined): Complaint | undefined {
  for (const item of items) {
    const found = ask(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function numberComplaint(shape: Extract<Shape, { kind: 'number' }>, value: Json): Complaint | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint') return wrongType(value, shape.integer ? 'usize' : 'f32');
  if (!shape.integer) return undefined;
  if (typeof value === 'number' && !Number.isInteger(value)) return wrongType(value, 'usize');
  return shape.least !== undefined && value < shape.least
    ? says(`invalid value: ${shown(value)}, expected usize`)
    : undefined;
}

function unionComplaint(of: readonly Shape[], value: Json, name: string | undefined): Complaint | undefined {
  const others = of.filter(({ kind }) => kind !== 'null');
  if (value === null && others.length < of.length) return undefined;
  const [only] = others;
  if (others.length === 1 && only !== undefined) return complaint(only, value, name);
  if (others.some((one) => complaint(one, value, undefined) === undefined)) return undefined;
  if (others.every(({ kind }) => kind === 'literal')) {
    const names = others.map((one) => (one.kind === 'literal' ? `\`${one.value}\`` : ''));
    return typeof value === 'string'
      ? says(
          `unknown variant \`${value}\`, expected ${names.length === 2 ? names.join(' or ') : `one of ${names.join(', ')}`}`,
        )
      : wrongType(value, 'a string');
  }
  return says(`data did not match any variant of untagged enum ${name ?? 'value'}`);
}

function objectComplaint(
  { fields, rest }: Extract<Shape, { kind: 'object' }>,
  value: Json,
  name: string | undefined,
): Complaint | undefined {
  if (!isObject(value)) return wrongType(value, name === undefined ? 'a map' : `struct ${name}`);
  for (const [key, { shape, optional }] of fields) {
    const member = value[key];
    if (member === undefined) {
      if (!optional) return says(`missing field \`${key}\``);
    } else {
      const found = below(key, complaint(shape, member, undefined));
      if (found !== undefined) return found;
    }
  }
  for (const [key, member] of Object.entries(value)) {
    if (fields.has(key) || member === undefined) continue;
    if (rest === undefined && CLOSED.has(name ?? '')) return says(`unknown field \`${key}\``);
    const found = rest === undefined ? undefined : below(key, complaint(rest, member, undefined));
    if (found !== undefined) return found;
  }
  return undefined;
}
