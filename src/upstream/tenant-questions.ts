import { type Denial, GrpcCode, UPSTREAM_BROKEN, UPSTREAM_KEY_REFUSED, upstreamRefused } from '../policy/denial.ts';
import { type CollectionFacts, NO_COLLECTION } from './collection-facts.ts';
import type { UpstreamCredential } from './credential.ts';
import type { RestUpstream } from './http.ts';
import { type Answer, ask, at, isDenial, isName, type ReadAnswer, readJson } from './lookup.ts';
import { isSuspect } from './refused-key.ts';

/** The gateway's own questions for a tenant. A filter is the JSON text of one. */
export interface TenantQuestions {
  /** The ids of the points that match, as JSON texts. @param most points that can match */
  readonly ids: (filter: string, most: number, about: Question) => Promise<ReadonlySet<string> | Refused>;
  /** The exact number of points that match. */
  readonly count: (filter: string, about: Question) => Promise<number | Refused>;
  /** `undefined` = not known. */
  readonly facts: (collection: string) => Promise<CollectionFacts | undefined>;
}

export interface Question {
  readonly collection: string;
  readonly signal: AbortSignal;
  /** JSON text of a shard key selector; `undefined` = all shards. */
  readonly shardKey?: string | undefined;
}

/** `no-collection` = there is none of this name. */
type Refused = 'no-collection' | Denial;

const FACTS_TIMEOUT_MS = 10_000;

/** @param credential what upstream is shown */
export function createTenantQuestions(upstream: RestUpstream, credential: () => UpstreamCredential): TenantQuestions {
  const post = ({ collection, signal }: Question, route: string, body: string, read: ReadAnswer) => {
    const path = `/collections/${encodeURIComponent(collection)}/points/${route}`;
    return ask(upstream, { method: 'POST', path, body, shown: credential().own }, signal, orRefusal(read));
  };
  return {
    async ids(filter, most, about) {
      if (!isName(about.collection)) return 'no-collection';
      const shard = about.shardKey === undefined ? '' : `,"shard_key":${about.shardKey}`;
      const body = `{"limit":${most},"with_payload":false,"with_vector":false,"filter":${filter}${shard}}`;
      const answer = await post(about, 'scroll', body, readIds);
      const refused = refusedBy(answer);
      if (refused || isDenial(answer)) return refused ?? UPSTREAM_BROKEN;
      return answer.body instanceof Set ? answer.body : UPSTREAM_BROKEN;
    },
    async count(filter, about) {
      if (!isName(about.collection)) return 'no-collection';
      const answer = await post(about, 'count', `{"exact":true,"filter":${filter}}`, readJson);
      const refused = refusedBy(answer);
      if (refused || isDenial(answer)) return refused ?? UPSTREAM_BROKEN;
      const count = at(at(answer.body, 'result'), 'count');
      return typeof count === 'number' ? count : UPSTREAM_BROKEN;
    },
    async facts(collection) {
      if (!isName(collection)) return undefined;
      const path = `/collections/${encodeURIComponent(collection)}`;
      const request = { method: 'GET', path, body: undefined, shown: credential().own };
      const answer = await ask(upstream, request, AbortSignal.timeout(FACTS_TIMEOUT_MS));
      if (isDenial(answer)) return undefined;
      if (answer.status === 404) return NO_COLLECTION;
      if (answer.status !== 200) return undefined;
      const params = at(at(at(answer.body, 'result'), 'config'), 'params');
      if (params === undefined) return undefined;
      const hasShardKeys = at(params, 'sharding_method') === 'custom';
      return { idfVectors: idfVectorsOf(at(params, 'sparse_vectors')), hasShardKeys };
    },
  };
}

/** Upstream's strict mode refuses a question where it would refuse the request: the refusal is the client's. */
function orRefusal(read: ReadAnswer): ReadAnswer {
  return (status, bytes, retryAfter) => {
    const isRefusal = status >= 400 && status < 500 && status !== 404 && !isSuspect(status);
    if (!isRefusal) return read(status, bytes, retryAfter);
    const message = errorOf(bytes);
    if (message === undefined) return UPSTREAM_BROKEN;
    const code = status === 429 ? GrpcCode.resourceExhausted : GrpcCode.invalidArgument;
    return upstreamRefused(status, code, message, retryAfter);
  };
}

/** The text of an error. `undefined` = upstream does not answer so. */
function errorOf(bytes: Buffer): string | undefined {
  try {
    const answer: unknown = JSON.parse(bytes.toString('utf8'));
    const error = at(at(answer, 'status'), 'error');
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}

function refusedBy(answer: Answer | Denial): Refused | undefined {
  if (isDenial(answer)) return answer;
  if (isSuspect(answer.status)) return UPSTREAM_KEY_REFUSED;
  if (answer.status === 404) return 'no-collection';
  return answer.status === 200 ? undefined : UPSTREAM_BROKEN;
}

/** The ids in the answer of a scroll, as they are written: a number of 64 bits keeps every digit. */
function readIds(status: number, bytes: Buffer): Answer | Denial {
  if (status !== 200) return { status, body: undefined };
  let answer: unknown;
  try {
    answer = JSON.parse(bytes.toString('utf8'), withSource);
  } catch {
    return UPSTREAM_BROKEN;
  }
  const points = at(at(answer, 'result'), 'points');
  return { status, body: Array.isArray(points) ? new Set(points.map((point: unknown) => at(point, 'id'))) : undefined };
}

/** An id becomes its text. */
function withSource(key: string, value: unknown, { source }: { readonly source?: string } = {}): unknown {
  return key === 'id' ? (source ?? value) : value;
}

function idfVectorsOf(vectors: unknown): ReadonlySet<string> {
  if (typeof vectors !== 'object' || vectors === null) return new Set();
  return new Set(Object.keys(vectors).filter((name) => at(at(vectors, name), 'modifier') === 'idf'));
}
