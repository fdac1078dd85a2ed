import { readFileSync } from 'node:fs';
import { GRPC_OPERATIONS, INTERNAL_SERVICES } from '../../src/operations/grpc.ts';
import { QDRANT_VERSION } from '../../src/operations/qdrant-version.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { readClients } from './matrix-diff/clients.ts';
import {
  BadDescription,
  type Described,
  fieldsOf,
  methodsOf,
  pythonRoutesOf,
  routeOf,
  routesOf,
  within,
} from './matrix-diff/descriptions.ts';
import { loadCaseFile } from './verdicts/cells.ts';

/*
 * What a (newer) Qdrant serves and our tables do not know, from what it publishes:
 *   npm run matrix:diff -- <release> [<release before>]          the clients of the registries
 *   npm run matrix:diff -- <openapi.json> [<file>.proto]...      its own descriptions
 * Ends with 0 when nothing is missing, 1 when something is, 2 when the input cannot be read.
 */

/** Operations as lines: `GET /collections/{}` without parameter names, or `/qdrant.Points/Search`. */
export interface Differences {
  /** Served there, not in our tables: refused to all but global manage until they have a row. */
  readonly missing: readonly string[];
  /** In our tables as still served, not described there any more. */
  readonly gone: readonly string[];
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

/** Differences as lines to read, and the exit code. */
interface Compared {
  readonly lines: readonly string[];
  readonly code: 0 | 1;
}

/** Compares an OpenAPI description and proto files with the tables. Throws `BadDescription`. */
export function compareDescriptions([name, openapi]: Described, protos: readonly Described[]): Compared {
  return compare(
    within(name, () => routesOf(openapi)),
    protos,
  );
}

/** The clients of one release: modules of the Python client, proto files. */
export interface Clients {
  readonly python: readonly Described[];
  readonly protos: readonly Described[];
}

/**
 * Compares the clients of a release with the tables, and the fields of its messages with those of an earlier release. Throws
 * `BadDescription`.
 */
export function compareClients({ python, protos }: Clients, before: Pick<Clients, 'protos'>): Compared {
  const routes = python.flatMap(([, text]) => pythonRoutesOf(text));
  if (routes.length === 0) throw new BadDescription('the modules of the Python client call no route');
  const { lines, code } = compare(routes, protos);
  const [old, now] = [before.protos, protos].map(
    (files) => new Set(files.flatMap(([name, text]) => within(name, () => fieldsOf(text)))),
  );
  const added = [...(now ?? [])].filter((field) => !old?.has(field));
  const removed = [...(old ?? [])].filter((field) => !now?.has(field));
  const fields = [...added.map((line) => `field    ${line}`), ...removed.map((line) => `removed  ${line}`)];
  return { lines: [...fields, ...lines], code };
}

function compare(routes: readonly string[], protos: readonly Described[]): Compared {
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

const RELEASE = /^v?(\d+\.\d+\.\d+)$/;
const USAGE =
  'usage: npm run matrix:diff -- <release> [<release before>], or <openapi.json> [<file>.proto]..., for example 1.20.0';

function compareArguments(args: readonly string[]): Compared {
  const [first, ...others] = args;
  if (first === undefined || args.some((name) => name.startsWith('-'))) throw new BadDescription(USAGE);
  const release = RELEASE.exec(first)?.[1];
  if (release === undefined) {
    const read = (name: string): Described => [name, within('cannot read', () => readFileSync(name, 'utf8'))];
    return compareDescriptions(read(first), others.map(read));
  }
  const before = RELEASE.exec(others[0] ?? QDRANT_VERSION)?.[1];
  if (before === undefined || others.length > 1) throw new BadDescription(USAGE);
  return compareClients(readClients(release), readClients(before));
}

function main(args: readonly string[]): number {
  try {
    const { lines, code } = compareArguments(args);
    for (const line of lines) console.log(line);
    return code;
  } catch (error) {
    if (!(error instanceof BadDescription)) throw error;
    console.error(`matrix:diff: ${error.message}`);
    return 2;
  }
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
