import { GrpcCode } from '../../policy/denial.ts';
import { type CollectionFacts, NO_COLLECTION } from '../../upstream/collection-facts.ts';
import type { AskUpstream } from '../answer.ts';
import { decode, encode, make } from './messages/codec.ts';

const GET = '/qdrant.Collections/Get';
/** Milliseconds that a query waits for the settings of its collection. */
const PATIENCE_MS = 5000;
/** `Modifier.Idf`. */
const IDF = 1;
/** `ShardingMethod.Custom`. */
const CUSTOM = 1;

interface Settings {
  readonly result?: { readonly config?: { readonly params?: Params } };
}

interface Params {
  readonly shardingMethod?: number;
  readonly sparseVectorsConfig?: SparseConfig;
}

interface SparseConfig {
  readonly map: readonly { readonly key: string; readonly value?: { readonly modifier?: number } }[];
}

/** The facts of a collection, asked over gRPC; `undefined` = upstream does not say. Does not reject. */
export async function askSettings(ask: AskUpstream, collectionName: string): Promise<CollectionFacts | undefined> {
  const message = encode('CollectionInfoRequest', make('CollectionInfoRequest', { collectionName }));
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const answer = await ask.ask(GET, message, { leastMs: 0, mostMs: PATIENCE_MS, signal });
    if (answer.kind === 'denial') return answer.grpc === GrpcCode.notFound ? NO_COLLECTION : undefined;
    const { result } = decode<Settings>('SettingsResponse', answer.message);
    if (!result) return undefined;
    const { params } = result.config ?? {};
    const sparse = params?.sparseVectorsConfig?.map ?? [];
    const hasShardKeys = params?.shardingMethod === CUSTOM;
    return {
      hasShardKeys,
      idfVectors: new Set(sparse.filter(({ value }) => value?.modifier === IDF).map(({ key }) => key)),
    };
  } catch {
    return undefined;
  }
}
