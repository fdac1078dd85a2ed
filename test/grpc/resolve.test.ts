import t from 'tap';
import { resolveGrpc } from '../../src/grpc/resolve.ts';
import { GRPC_OPERATIONS, INTERNAL_GRPC, INTERNAL_SERVICES, UNLISTED_GRPC } from '../../src/operations/grpc.ts';
import { IN_MESSAGE, NO_TARGET } from '../../src/policy/operation.ts';

t.test('every row is found by its path and knows where its target is', async (t) => {
  for (const operation of GRPC_OPERATIONS) {
    const target = operation.collectionField === undefined ? NO_TARGET : IN_MESSAGE;
    t.same(resolveGrpc(operation.path), { operation, target }, operation.path);
  }
});

t.test('a query or fragment is not part of the path', async (t) => {
  const list = resolveGrpc('/qdrant.Collections/List').operation;
  for (const tail of ['?x=1', '#f', '?a#b', '#a?b', '?', '#', '?/qdrant.Collections/Delete']) {
    t.equal(resolveGrpc(`/qdrant.Collections/List${tail}`).operation, list, tail);
  }
});

t.test('any other spelling is unlisted', async (t) => {
  const spellings = [
    '/qdrant.Collections/list',
    '/QDRANT.Collections/List',
    '//qdrant.Collections/List',
    '/qdrant.Collections//List',
    '/qdrant.Collections/List/',
    '/qdrant.Collections/L%69st',
    '/qdrant.Collections/../qdrant.Collections/List',
    '/qdrant.Collections/List ',
    '/qdrant.Collections',
    '/qdrant.RaftX/Send',
    '/qdrant.raft/Send',
    '/?/qdrant.Qdrant/HealthCheck',
    '/__proto__/constructor',
    '/',
  ];
  for (const path of spellings) t.same(resolveGrpc(path), { operation: UNLISTED_GRPC, target: NO_TARGET }, path);
});

t.test('services of the internal port are withheld, whatever the method', async (t) => {
  for (const service of INTERNAL_SERVICES) {
    for (const path of [`/${service}/Get`, `/${service}/Nope?x`, `/${service}/a/b`, `/${service}`, `/${service}/`]) {
      t.equal(resolveGrpc(path).operation, INTERNAL_GRPC, path);
    }
  }
});

t.test('a path without a leading slash is reported, to be reset', async (t) => {
  for (const path of ['', 'qdrant.Collections/List', '*', 'http://host/qdrant.Qdrant/HealthCheck', '?/x', ' /x']) {
    const { operation, resets, refusal } = resolveGrpc(path);
    t.same([operation, resets, refusal?.grpc], [UNLISTED_GRPC, true, 3], path);
  }
});
