/** Where a Qdrant listens, in cleartext. */
export interface QdrantPlace {
  readonly restUrl: string;
  readonly grpcUrl: string;
}

/**
 * The real Qdrant that `QDRANT_URL` and `QDRANT_GRPC_URL` name, for tests to use in the place of the stand-in; `undefined` where the first is
 * not set. Default of the second: port 6334 of the same host. Tests delete collections there, and make them anew.
 */
export function realQdrant(env: NodeJS.ProcessEnv = process.env): QdrantPlace | undefined {
  if (!env.QDRANT_URL) return undefined;
  const restUrl = env.QDRANT_URL.replace(/\/+$/, '');
  const grpcUrl = env.QDRANT_GRPC_URL || restUrl.replace(/:\d+$/, '').concat(':6334');
  return { restUrl, grpcUrl: grpcUrl.replace(/\/+$/, '') };
}

/** Settings of a gateway before it; none for the stand-in. */
export function settingsBefore(place: QdrantPlace | undefined): Readonly<Record<string, unknown>> {
  if (place === undefined) return {};
  return { 'gateway.upstream.rest_url': place.restUrl, 'gateway.upstream.grpc_url': place.grpcUrl };
}
