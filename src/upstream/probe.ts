import type { GrpcAsker } from './ask-grpc.ts';
import type { UpstreamLookup } from './lookup.ts';

/** Whether upstream answers. */
export interface Reachability {
  readonly rest: boolean;
  /** `undefined` = gRPC is off. */
  readonly grpc: boolean | undefined;
  /** Its release, as it last said. */
  readonly version: string | undefined;
  /** When it was asked, milliseconds since 1970. */
  readonly askedAt: number;
}

export interface ProbeOptions {
  readonly lookup: Pick<UpstreamLookup, 'version'>;
  readonly asker: Pick<GrpcAsker, 'askOpen'> | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** An answer counts for so long. */
const MAX_AGE_MS = 2_000;
/** What takes longer is no answer. */
const PATIENCE_MS = 1_500;
const HEALTH_CHECK = '/qdrant.Qdrant/HealthCheck';

/** Asks upstream on both protocols, at most every two seconds however many want to know. Never rejects. */
export function createProbe({ lookup, asker, now }: ProbeOptions): () => Promise<Reachability> {
  let known: Reachability | undefined;
  let underWay: Promise<Reachability> | undefined;

  const ask = async (): Promise<Reachability> => {
    const [version, grpc] = await Promise.all([
      lookup.version(AbortSignal.timeout(PATIENCE_MS)).catch(() => undefined),
      asker ? within(asker.askOpen(HEALTH_CHECK)) : undefined,
    ]);
    const rest = typeof version === 'string';
    known = { rest, grpc, version: rest ? version : known?.version, askedAt: now() };
    return known;
  };

  return async () => {
    if (known && now() - known.askedAt < MAX_AGE_MS) return known;
    underWay ??= ask().finally(() => {
      underWay = undefined;
    });
    return await underWay;
  };
}

async function within(asked: ReturnType<GrpcAsker['askOpen']>): Promise<boolean> {
  const { promise: tooLate, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, PATIENCE_MS, false);
  const answered = asked.then(({ kind }) => kind === 'message').catch(() => false);
  return await Promise.race([answered, tooLate]).finally(() => clearTimeout(timer));
}
