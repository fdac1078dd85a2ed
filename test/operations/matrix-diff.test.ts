import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { QDRANT_VERSION } from '../../src/operations/qdrant-version.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { fieldsOf, methodsOf, pythonRoutesOf, routesOf } from '../support/matrix-diff/descriptions.ts';
import { compareClients, compareDescriptions } from '../support/matrix-diff.ts';
import { runScript } from '../support/process/run-script.ts';

type Paths = Record<string, Record<string, object>>;

/** An OpenAPI description of all our living routes, with other parameter names. */
function ownPaths(): Paths {
  const paths: Paths = {};
  for (const { method, path, until } of REST_OPERATIONS) {
    if (until !== undefined) continue;
    const named = path.replace(/\{(\w+)\}/g, '{$1_name}');
    paths[named] = { ...paths[named], [method.toLowerCase()]: {} };
  }
  return paths;
}

/** A proto file with all our living methods of one package. */
function ownProto(packageName: string): string {
  const services = Map.groupBy(
    GRPC_OPERATIONS.filter(({ path, until }) => !until && path.startsWith(`/${packageName}.`)),
    ({ path }) => path.slice(packageName.length + 2).split('/')[0] ?? '',
  );
  const blocks = [...services].map(([service, rows]) => {
    const rpcs = rows.map(({ path }) => `  rpc ${path.split('/')[2]} (Request) returns (stream Reply) {}`);
    return `service ${service} {\n${rpcs.join('\n')}\n}\n`;
  });
  return `syntax = "proto3";\npackage ${packageName};\n${blocks.join('')}`;
}

const openapi = (paths: unknown) => ['openapi.json', JSON.stringify({ openapi: '3.0.1', paths })] as const;
const protos = ['qdrant', 'grpc.health.v1', 'grpc.reflection.v1', 'grpc.reflection.v1alpha'].map(
  (name) => [`${name}.proto`, ownProto(name)] as const,
);
const [routeCount, methodCount] = [REST_OPERATIONS, GRPC_OPERATIONS].map(
  (rows: readonly { until?: string }[]) => rows.filter(({ until }) => !until).length,
);

t.test('nothing is missing from a description of what the tables hold', async (t) => {
  t.strictSame(compareDescriptions(openapi(ownPaths()), protos), {
    lines: [
      `${routeCount} routes and ${methodCount} gRPC methods read: 0 missing from our tables of Qdrant ${QDRANT_VERSION}, 0 of ours gone`,
    ],
    code: 0,
  });
});

t.test('a new route, and a new method of a known path, are missing', async (t) => {
  const paths: Paths = { ...ownPaths(), '/collections/{name}/rows': { post: {}, parameters: [] } };
  paths['/healthz'] = { get: {}, delete: {} };
  const { lines, code } = compareDescriptions(openapi(paths), []);
  t.strictSame(lines.slice(0, -1), ['missing  DELETE /healthz', 'missing  POST /collections/{}/rows']);
  t.equal(code, 1);
});

t.test('a new gRPC method is missing, one of the internal port is not', async (t) => {
  const more = `
    // rpc Commented (A) returns (B);
    /* service Gone { rpc Old (A) returns (B); } */
    package qdrant;
    option note = "service Text { rpc InText (A)";
    message rpc { message service { string package = 1; } }
    service Points { option deprecated = true; rpc
      Rank(RankRequest) returns (RankReply) { option idempotency_level = NO_SIDE_EFFECTS; } rpc Search(A) returns (B); }
    service PointsInternal { rpc Sync (A) returns (B); }`;
  t.strictSame(methodsOf(more), ['/qdrant.Points/Rank', '/qdrant.Points/Search', '/qdrant.PointsInternal/Sync']);
  const { lines, code } = compareDescriptions(openapi(ownPaths()), [...protos, ['more.proto', more]]);
  t.strictSame(lines.slice(0, -1), ['missing  /qdrant.Points/Rank']);
  t.equal(code, 1);
});

t.test('what is gone is told and fails nothing; what no description ever had is not gone', async (t) => {
  const paths = ownPaths();
  delete paths['/collections'];
  delete paths['/stacktrace'];
  const { lines, code } = compareDescriptions(openapi(paths), [
    ['qdrant.proto', ownProto('qdrant').replace('rpc HealthCheck', '// ')],
  ]);
  t.strictSame(lines.slice(0, -1), ['gone     GET /collections', 'gone     /qdrant.Qdrant/HealthCheck']);
  t.equal(code, 0);
});

t.test('what is no description is refused with the reason', async (t) => {
  const bad: [name: string, read: () => unknown, message: string][] = [
    ['not JSON', () => routesOf('openapi: 3.0.1'), 'not a JSON document'],
    ['another JSON document', () => routesOf('{"paths": []}'), 'no `paths` object: not OpenAPI'],
    ['a list', () => routesOf('[]'), 'no `paths` object: not OpenAPI'],
    ['no route', () => routesOf('{"paths": {"/a": {"parameters": []}}}'), 'describes no route'],
    ['no path item', () => routesOf('{"paths": {"/a": 1}}'), 'not a path item: `/a`'],
    ['no path', () => routesOf('{"paths": {"a": {}}}'), 'not a path item: `a`'],
    ['no proto', () => methodsOf('hello'), 'not a proto file'],
    ['a cut proto', () => methodsOf('service A { rpc B (C) returns (D);'), 'ends before its braces are closed'],
    ['a brace too many', () => methodsOf('service A { } }'), 'more braces are closed than opened'],
    ['an rpc alone', () => methodsOf('package a; rpc B (C) returns (D);'), 'rpc `B` stands in no service'],
    ['a nested service', () => methodsOf('message A { service B { } }'), 'service `B` stands within braces'],
    [
      'protos without any rpc',
      () => compareDescriptions(openapi(ownPaths()), [['a.proto', 'package a;']]),
      'the proto files declare no rpc',
    ],
    [
      'a fault in one of many',
      () => compareDescriptions(openapi(ownPaths()), [['a.proto', 'service A {']]),
      'a.proto: ends before its braces are closed',
    ],
  ];
  for (const [name, read, message] of bad) t.throws(read, { message }, name);
});

const SAMPLE = `
  syntax = "proto3";
  package qdrant;
  message Query {
    oneof variant { VectorInput nearest = 1; Text text = 12 [deprecated = true]; } // one = 99;
    map<string, Value> params = 2;
    optional repeated.Thing odd = 3;
    message Inner { reserved 1; uint32 limit = 2; }
    enum Kind { A = 0; B = 1; }
  }
  service Points { rpc Query (Query) returns (Query) {} }
`;

t.test('fields and enum values are read from messages, oneofs and nested ones', async (t) => {
  t.strictSame(fieldsOf(SAMPLE), [
    'qdrant.Query.nearest = 1 VectorInput',
    'qdrant.Query.text = 12 Text',
    'qdrant.Query.params = 2 map<string, Value>',
    'qdrant.Query.odd = 3 repeated.Thing',
    'qdrant.Query.Inner.limit = 2 uint32',
    'qdrant.Query.Kind.A = 0',
    'qdrant.Query.Kind.B = 1',
  ]);
  t.throws(() => fieldsOf('message A {'), { message: 'ends before its braces are closed' });
  t.throws(() => fieldsOf('} message A {'), { message: 'more braces are closed than opened' });
});

t.test('routes are read from the generated Python client', async (t) => {
  const module = `
        return self.api_client.request(
            type_=m.X,
            method="POST",
            url="/collections/{collection_name}/points/query",
            path_params=path_params,
        )`;
  t.strictSame(pythonRoutesOf(`${module}${module.replace('POST', 'GET')}`), [
    'POST /collections/{}/points/query',
    'GET /collections/{}/points/query',
  ]);
  t.strictSame(pythonRoutesOf('import x'), []);
});

t.test('the clients of a release are compared with the tables, and its fields with those before', async (t) => {
  const python = [['api.py', 'method="GET",\n url="/collections"\n method="PUT", url="/newcomer"']] as const;
  const before = { protos: [['p.proto', SAMPLE.replace('Text text = 12', 'Text words = 12')]] as const };
  const more = SAMPLE.replace('rpc Query (Query)', 'rpc Rank (Query) returns (Query) {} rpc Query (Query)');
  const { lines, code } = compareClients({ python, protos: [['p.proto', more]] }, before);
  t.strictSame(lines.slice(0, 4), [
    'field    qdrant.Query.text = 12 Text',
    'removed  qdrant.Query.words = 12 Text',
    'missing  PUT /newcomer',
    'missing  /qdrant.Points/Rank',
  ]);
  t.equal(code, 1);
  const nothing = { python: [], protos: [] };
  t.throws(() => compareClients(nothing, nothing), { message: 'the modules of the Python client call no route' });
});

t.test('the command ends with 0, 1 or 2', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'matrix-diff-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const same = file('same.json', openapi(ownPaths())[1]);
  const newer = file('newer.json', openapi({ ...ownPaths(), '/new': { get: {} } })[1]);
  const proto = file('qdrant.proto', ownProto('qdrant'));
  const run = (...args: string[]) => runScript(['test/support/matrix-diff.ts', ...args]);
  const [fine, missing, bad, absent, empty] = await Promise.all([
    run(same, proto),
    run(newer),
    run(proto),
    run(join(folder, 'absent.json')),
    run(),
  ]);
  t.equal(fine.code, 0);
  t.strictSame([missing.code, missing.out.split('\n')[0]], [1, 'missing  GET /new']);
  t.strictSame([bad.code, bad.err], [2, `matrix:diff: ${proto}: not a JSON document\n`]);
  t.equal(absent.code, 2);
  t.match(absent.err, /^matrix:diff: cannot read: ENOENT/);
  t.strictSame(
    [empty.code, empty.err],
    [
      2,
      'matrix:diff: usage: npm run matrix:diff -- <release> [<release before>], or <openapi.json> [<file>.proto]..., for example 1.20.0\n',
    ],
  );
});
