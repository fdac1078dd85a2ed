import t from 'tap';
import { GRPC_OPERATIONS, INTERNAL_GRPC, INTERNAL_SERVICES, UNLISTED_GRPC } from '../../src/operations/grpc.ts';
import { QDRANT_VERSION } from '../../src/operations/qdrant-version.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../src/operations/rest.ts';
import type { InspectorName, Operation, Requirements, RestOperation } from '../../src/policy/operation.ts';
import { loadCaseFile } from '../support/verdicts/cells.ts';

/** Rows of the access matrix, as far as they describe the operation itself. */
interface MatrixRow {
  readonly requires: string;
  /** Places in the body where other collections are named. */
  readonly names?: readonly string[];
  readonly filter?: string;
  readonly audit: string | null;
  readonly since: string;
  readonly until?: string;
}

interface RestRow extends MatrixRow {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly text?: true;
}

interface GrpcRow extends MatrixRow {
  readonly method: string;
  readonly field?: number;
}

const rest = loadCaseFile<{ rows: readonly RestRow[] }>('matrix-rest.json').rows;
const grpc = loadCaseFile<{ rows: readonly GrpcRow[]; internal: readonly string[] }>('matrix-grpc.json');

/** Which inspector reads which places; a place without one would pass unchecked. */
const REST_PLACES: Readonly<Record<InspectorName, readonly string[]>> = {
  recommend: ['lookup_from.collection'],
  'recommend-batch': ['searches[*].lookup_from.collection'],
  'recommend-groups': ['lookup_from.collection', 'with_lookup', 'with_lookup.collection'],
  discover: ['lookup_from.collection'],
  'discover-batch': ['searches[*].lookup_from.collection'],
  query: ['lookup_from.collection', 'prefetch[?]**.lookup_from.collection'],
  'query-batch': ['searches[*].lookup_from.collection', 'searches[*].prefetch[?]**.lookup_from.collection'],
  'query-groups': [
    'lookup_from.collection',
    'prefetch[?]**.lookup_from.collection',
    'with_lookup',
    'with_lookup.collection',
  ],
  'search-groups': ['with_lookup', 'with_lookup.collection'],
};

function requirementsText({ scope, level, extras }: Requirements): string {
  if (scope === 'public' || scope === 'authenticated') return scope;
  return `${scope} ${level}${extras ? '+extras' : ''}`;
}

/** The table has no name where the matrix only has a note, as of batches: upstream writes one line per inner operation. */
function auditName(audit: string | null): string | null {
  return audit?.startsWith('(') ? null : audit;
}

function described(row: Operation & { since: string; until?: string }): Omit<MatrixRow, 'names'> {
  return {
    requires: requirementsText(row.requires),
    ...(row.filter === undefined ? {} : { filter: row.filter }),
    audit: row.audit,
    since: row.since,
    ...(row.until === undefined ? {} : { until: row.until }),
  };
}

t.test('every REST row is the access matrix row, in the same order', async (t) => {
  t.equal(REST_OPERATIONS.length, rest.length);
  for (const [at, expected] of rest.entries()) {
    const row = REST_OPERATIONS[at];
    if (!row) throw new TypeError(`no row for ${expected.operation}`);
    const { operation, method, path, body, text } = expected;
    const { requires, filter, audit, since, until } = expected;
    t.strictSame(
      {
        operation: row.name,
        method: row.method,
        path: row.path,
        body: row.body,
        text: row.denial === 'text',
        ...described(row),
      },
      {
        operation,
        method,
        path,
        body,
        text: text ?? false,
        ...{ requires, since, audit: auditName(audit) },
        ...(filter === undefined ? {} : { filter }),
        ...(until === undefined ? {} : { until }),
      },
      `${method} ${path}`,
    );
    const places = row.inspect === undefined ? [] : REST_PLACES[row.inspect];
    t.strictSame(
      [...places].sort(),
      [...(expected.names ?? [])].sort(),
      `${method} ${path}: the inspector reads all places`,
    );
  }
});

/** `/qdrant.Points/QueryBatch` is read by `query-batch`. */
function inspectorNamed(method: string): string {
  const [, , name = ''] = method.split('/');
  return name.replace(/\B[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
}

t.test('every gRPC row is the access matrix row, in the same order', async (t) => {
  t.equal(GRPC_OPERATIONS.length, grpc.rows.length);
  for (const [at, expected] of grpc.rows.entries()) {
    const row = GRPC_OPERATIONS[at];
    if (!row) throw new TypeError(`no row for ${expected.method}`);
    const { method, requires, field, filter, audit, since, until } = expected;
    t.strictSame(
      { method: row.path, field: row.collectionField, ...described(row) },
      {
        method,
        field: requires.startsWith('collection') ? field : undefined,
        ...{ requires, since, audit: auditName(audit) },
        ...(filter === undefined ? {} : { filter }),
        ...(until === undefined ? {} : { until }),
      },
      method,
    );
    t.equal(row.inspect, expected.names && inspectorNamed(method), `${method}: inspected if it can name another`);
  }
});

t.test('the services of the internal port are those of the matrix', async (t) => {
  const services = new Set(grpc.internal.map((method) => method.split('/')[1]));
  t.strictSame([...INTERNAL_SERVICES].sort(), [...services].sort());
});

const VERSION = /^v\d+\.\d+\.\d+$/;

function before(a: string, b: string): boolean {
  const [left, right] = [a, b].map((version) => version.slice(1).split('.').map(Number));
  const at = [0, 1, 2].find((i) => left?.[i] !== right?.[i]) ?? 0;
  return (left?.[at] ?? 0) < (right?.[at] ?? 0);
}

t.test('releases are written as tags, and end after they begin', async (t) => {
  t.match(QDRANT_VERSION, VERSION);
  for (const { name, since, until } of [...REST_OPERATIONS, ...GRPC_OPERATIONS]) {
    t.match(since, VERSION, `${name}: since`);
    t.notOk(before(QDRANT_VERSION, since), `${name}: not from the future`);
    if (until === undefined) continue;
    t.match(until, VERSION, `${name}: until`);
    t.notOk(before(until, since), `${name}: ends after it begins`);
    t.ok(before(until, QDRANT_VERSION), `${name}: gone`);
  }
});

/** Could one path meet both patterns? */
function overlap(a: string, b: string): boolean {
  const [left, right] = [a.split('/'), b.split('/')];
  for (const [i, segment] of left.entries()) {
    const other = right[i];
    if (segment === '{tail}' || other === '{tail}') return true;
    if (other === undefined) return false;
    if (!segment.startsWith('{') && !other.startsWith('{') && segment !== other) return false;
  }
  return left.length === right.length;
}

t.test('no two REST rows are the same route', async (t) => {
  const routes = REST_OPERATIONS.map(({ method, path }) => `${method} ${path}`);
  t.equal(new Set(routes).size, routes.length);
});

t.test('no path meets two patterns of one method, but a literal before a parameter', async (t) => {
  const found: string[] = [];
  for (const [at, a] of REST_OPERATIONS.entries()) {
    for (const b of REST_OPERATIONS.slice(at + 1)) {
      if (a.method === b.method && overlap(a.path, b.path)) found.push(`${a.method} ${a.path} | ${b.path}`);
    }
  }
  // `POST /collections/{collection}` is gone since v1.0.0, and `aliases` was a route of its own before.
  t.strictSame(found, ['POST /collections/aliases | /collections/{collection}']);
});

t.test('every REST pattern is well-formed', async (t) => {
  for (const { name, method, path, requires } of REST_OPERATIONS) {
    t.match(method, /^(GET|PUT|POST|PATCH|DELETE)$/, `${name}: method`);
    t.match(path, /^\/$|^(\/([a-z_]+|\{[a-z]+\}))+$/, `${name}: path`);
    t.notOk(/\{tail\}./.test(path), `${name}: nothing behind the tail`);
    const onCollection = requires.scope === 'collection';
    t.ok(!onCollection || path.startsWith('/collections/{collection}'), `${name}: has its target in the path`);
  }
});

t.test('a REST name stands for one set of requirements', async (t) => {
  for (const [name, rows] of Map.groupBy(REST_OPERATIONS, (row: RestOperation) => row.name)) {
    t.equal(new Set(rows.map(({ requires }) => requires)).size, 1, name);
  }
});

t.test('every gRPC path is one method, named like its path', async (t) => {
  t.equal(new Set(GRPC_OPERATIONS.map(({ path }) => path)).size, GRPC_OPERATIONS.length);
  for (const { path, name, requires, collectionField } of GRPC_OPERATIONS) {
    t.match(path, /^\/[A-Za-z0-9.]+\/[A-Za-z]+$/, name);
    t.equal(path, `/${name}`);
    t.equal(
      collectionField !== undefined,
      requires.scope === 'collection',
      `${name}: has a target field if it needs one`,
    );
  }
});

t.test('an answer is filtered where the scope is a list, and only there or on one collection', async (t) => {
  for (const { name, requires, filter } of [...REST_OPERATIONS, ...GRPC_OPERATIONS]) {
    if (requires.scope === 'list') t.ok(filter, `${name}: filtered`);
    else if (filter) t.equal(requires.scope, 'collection', `${name}: filtered on a collection`);
  }
});

t.test('what no row holds asks for global manage, and the internal port is withheld', async (t) => {
  for (const { requires, unlisted } of [UNLISTED_REST, UNLISTED_GRPC, INTERNAL_GRPC]) {
    t.strictSame([requires, unlisted], [{ scope: 'global', level: 'manage', extras: false }, true]);
  }
  t.strictSame([UNLISTED_REST.withheld, UNLISTED_GRPC.withheld, INTERNAL_GRPC.withheld], [undefined, undefined, true]);
});
