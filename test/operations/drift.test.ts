import t from 'tap';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { routeOf } from '../support/matrix-diff/descriptions.ts';
import { compareGrpc, compareRest } from '../support/matrix-diff.ts';
import { loadCaseFile } from '../support/verdicts/cells.ts';
import { clientMethods, clientRoutes } from './client-surface.ts';

/** The tables against what the official clients can ask. A newer client that asks more makes this fail. */
const routes = clientRoutes();
const lines = routes.map(({ method, path }) => routeOf(method, path));

t.test('every route of the official REST client has a row', async (t) => {
  t.ok(lines.length >= 60, `${lines.length} routes were found in the client`);
  t.ok(lines.includes('POST /collections/{}/points/query'), 'they are read as they should be');
  t.strictSame(compareRest(lines).missing, []);
  t.strictSame(compareRest([...lines, 'POST /collections/{}/newcomer']).missing, ['POST /collections/{}/newcomer']);
});

t.test('every method of the official gRPC client has a row', async (t) => {
  const methods = await clientMethods();
  t.ok(methods.length >= 50, `${methods.length} methods were found in the client`);
  t.ok(methods.includes('/qdrant.Points/Query'), 'they are read as they should be');
  t.strictSame(compareGrpc(methods).missing, []);
  t.strictSame(compareGrpc([...methods, '/qdrant.Points/Newcomer']).missing, ['/qdrant.Points/Newcomer']);
});

t.test('every living route the REST client lacks is listed as undocumented', async (t) => {
  const file = loadCaseFile<{ routes: readonly { method: string; path: string; since: string }[] }>(
    'undocumented-rest.json',
  );
  const asked = new Set(lines);
  const rows = REST_OPERATIONS.filter(({ until, method, path }) => !until && !asked.has(routeOf(method, path)));
  t.strictSame(
    file.routes,
    rows.map(({ method, path, since }) => ({ method, path, since })),
  );
});

t.test('every living method the gRPC client lacks is listed as undocumented', async (t) => {
  const file = loadCaseFile<{ methods: readonly { method: string; since: string }[] }>('undocumented-grpc.json');
  const asked = new Set(await clientMethods());
  const rows = GRPC_OPERATIONS.filter(({ until, path }) => !until && !asked.has(path));
  t.strictSame(
    file.methods,
    rows.map(({ path, since }) => ({ method: path, since })),
  );
});
