import * as q from '@qdrant/js-client-grpc';
import { collectionMethods } from './grpc-collection-methods.ts';
import { type GrpcMethod, unary } from './grpc-method.ts';
import { pointWriteMethods } from './grpc-point-methods.ts';
import { rawMethods } from './grpc-raw-methods.ts';
import { pointReadMethods } from './grpc-read-methods.ts';
import { snapshotMethods } from './grpc-snapshot-methods.ts';
import { commit } from './service-routes.ts';

const time = 0.00001;
const collections = '/qdrant.Collections';

// Cluster and shard keys: there is one node and one shard, so these only look right.
const clusterMethods: GrpcMethod[] = [
  unary(
    `${collections}/CollectionClusterInfo`,
    q.CollectionClusterInfoRequestSchema,
    q.CollectionClusterInfoResponseSchema,
    (request, { store }) => {
      const pointsCount = BigInt(store.find(request.collectionName).points.size);
      return { peerId: 1001n, shardCount: 1n, localShards: [{ shardId: 0, pointsCount, state: 0 }], time };
    },
  ),
  unary(
    `${collections}/UpdateCollectionClusterSetup`,
    q.UpdateCollectionClusterSetupRequestSchema,
    q.UpdateCollectionClusterSetupResponseSchema,
    (request, { store }) => ({ result: store.find(request.collectionName) !== undefined, time }),
  ),
  unary(
    `${collections}/CreateShardKey`,
    q.CreateShardKeyRequestSchema,
    q.CreateShardKeyResponseSchema,
    (request, { store }) => ({ result: store.find(request.collectionName) !== undefined, time }),
  ),
  unary(
    `${collections}/DeleteShardKey`,
    q.DeleteShardKeyRequestSchema,
    q.DeleteShardKeyResponseSchema,
    (request, { store }) => ({ result: store.find(request.collectionName) !== undefined, time }),
  ),
  unary(
    `${collections}/ListShardKeys`,
    q.ListShardKeysRequestSchema,
    q.ListShardKeysResponseSchema,
    (request, { store }) => {
      store.find(request.collectionName);
      return { shardKeys: [], time };
    },
  ),
];

const health = unary(
  '/qdrant.Qdrant/HealthCheck',
  q.HealthCheckRequestSchema,
  q.HealthCheckReplySchema,
  (_request, { version }) => ({ title: 'qdrant - vector search engine', version, commit }),
);

/** All methods by their full path. */
export const grpcMethods: ReadonlyMap<string, GrpcMethod> = new Map(
  [
    health,
    ...collectionMethods,
    ...clusterMethods,
    ...snapshotMethods,
    ...pointWriteMethods,
    ...pointReadMethods,
    ...rawMethods,
  ].map((method) => [method.path, method]),
);
