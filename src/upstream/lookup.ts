import type { Dispatcher } from 'undici';
import { Guard } from '../lifetime/guard.ts';
import { type Denial, UPSTREAM_BROKEN, UPSTREAM_KEY_REFUSED, UPSTREAM_TIMEOUT } from '../policy/denial.ts';
import { NO_CREDENTIAL, type UpstreamCredential } from './credential.ts';
import { type RestUpstream, toUpstreamDenial } from './http.ts';
import { isSuspect, refusesAccess } from './refused-key.ts';

/** Result of a scroll for one point. */
export type Existence = 'match' | 'no-match' | 'no-collection';

/** Upstream's answer to the gateway's credential. */
export type KeyVerdict = 'accepted' | 'refused';

/** The gateway's own requests to upstream, with full access and outside of any client's exchange. */
export interface UpstreamLookup {
  /**
   * Looks for one point of `collection` (or alias) that matches `filter`, an upstream filter object. Not cached.
   * Upstream: the check of `value_exists` (Qdrant v1.19.0).
   */
  readonly scroll: (collection: string, filter: object, signal: AbortSignal) => Promise<Existence | Denial>;
  /** The names of all collections. */
  readonly listCollections: (signal: AbortSignal) => Promise<readonly string[] | Denial>;
  /** The settings of `collection` on which tenants depend; `undefined` = no such collection. */
  readonly collectionSettings: (
    collection: string,
    signal: AbortSignal,
  ) => Promise<CollectionSettings | undefined | Denial>;
  /**
   * Whether upstream accepts the gateway's credential, or none where it sends none: asked on a route that needs full
   * access. A release without that route tells at least a wrong key.
   */
  readonly checkKey: (signal: AbortSignal) => Promise<KeyVerdict | Denial>;
  /** True = upstream serves its web UI. Otherwise `/dashboard` is 404. */
  readonly servesWebUi: (signal: AbortSignal) => Promise<boolean | Denial>;
  /** Is upstream ready? `false` = it says that it is not; a release without the route is. */
  readonly ready: (signal: AbortSignal) => Promise<boolean | Denial>;
  /** Does upstream answer at all? `false` = a proxy says for it that it does not. */
  readonly answers: (signal: AbortSignal) => Promise<boolean | Denial>;
  /** Upstream's release, for example `1.19.0`. */
  readonly version: (signal: AbortSignal) => Promise<string | Denial>;
}

/** An index on a payload field. Upstream: `PayloadIndexInfo` (Qdrant v1.19.0). */
export interface PayloadIndex {
  /** For example `keyword`. */
  readonly type: string;
  /** True = made with `is_tenant`, which groups the points of each value. */
  readonly isTenant: boolean;
}

/** Settings of a collection. */
export interface CollectionSettings {
  /** By the field's path as it was created. */
  readonly indexes: ReadonlyMap<string, PayloadIndex>;
  /** True = its points are spread by shard keys. */
  readonly hasShardKeys: boolean;
}

/** An answer to a question of the gateway's own. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Largest accepted answer, in bytes. */
const MAX_ANSWER_BYTES = 16 * 1_048_576;
const MAX_NAME = 255;
/** Statuses by which a proxy says that it has no answer. */
const OF_A_PROXY: ReadonlySet<number> = new Set([502, 503, 504]);
/** Upstream: small, and needs global manage (Qdrant v1.9.5); before, authentication comes before the route is looked up. */
const MANAGED = '/debugger';

/** @param credential what upstream is shown. Default: nothing */
export function createUpstreamLookup(
  upstream: RestUpstream,
  credential: () => UpstreamCredential = () => NO_CREDENTIAL,
): UpstreamLookup {
  const question = (method: string, path: string, body: string | undefined, signal: AbortSignal, read = readJson) =>
    ask(upstream, { method, path, body, shown: credential().own }, signal, read);
  return {
    async scroll(collection, filter, signal) {
      if (!isName(collection)) return 'no-collection';
      const body = JSON.stringify({ limit: 1, with_payload: false, with_vector: false, filter });
      const path = `/collections/${encodeURIComponent(collection)}/points/scroll`;
      const answer = await question('POST', path, body, signal);
      if (isDenial(answer)) return answer;
      if (isSuspect(answer.status)) return UPSTREAM_KEY_REFUSED;
      if (answer.status === 404) return 'no-collection';
      const points = answer.status === 200 ? at(at(answer.body, 'result'), 'points') : undefined;
      if (!Array.isArray(points)) return UPSTREAM_BROKEN;
      return points.length > 0 ? 'match' : 'no-match';
    },
    async listCollections(signal) {
      const answer = await question('GET', '/collections', undefined, signal);
      if (isDenial(answer)) return answer;
      if (isSuspect(answer.status)) return UPSTREAM_KEY_REFUSED;
      const listed = answer.status === 200 ? at(at(answer.body, 'result'), 'collections') : undefined;
      if (!Array.isArray(listed)) return UPSTREAM_BROKEN;
      const names = listed.map((entry: unknown) => at(entry, 'name'));
      return names.every((name) => typeof name === 'string') ? names : UPSTREAM_BROKEN;
    },
    async collectionSettings(collection, signal) {
      if (!isName(collection)) return undefined;
      const answer = await question('GET', `/collections/${encodeURIComponent(collection)}`, undefined, signal);
      if (isDenial(answer)) return answer;
      if (isSuspect(answer.status)) return UPSTREAM_KEY_REFUSED;
      if (answer.status === 404) return undefined;
      const result = at(answer.body, 'result');
      const schema = at(result, 'payload_schema');
      if (answer.status !== 200 || typeof schema !== 'object' || schema === null) return UPSTREAM_BROKEN;
      const indexes = new Map(Object.entries(schema).map(([field, info]) => [field, indexOf(info)]));
      const sharding = at(at(at(result, 'config'), 'params'), 'sharding_method');
      return { indexes, hasShardKeys: sharding === 'custom' };
    },
    async checkKey(signal) {
      const managed = await question('GET', MANAGED, undefined, signal, statusAndText);
      if (isDenial(managed) || managed.status !== 403) return keyVerdictOf(managed);
      if (refusesAccess(String(managed.body))) return 'refused';
      // A proxy may keep this route to itself; the list of collections is open to every key.
      return keyVerdictOf(await question('GET', '/collections', undefined, signal, statusOnly));
    },
    async servesWebUi(signal) {
      const answer = await question('HEAD', '/dashboard', undefined, signal);
      if (isDenial(answer)) return answer;
      return answer.status < 500 ? answer.status !== 404 : UPSTREAM_BROKEN;
    },
    async ready(signal) {
      const answer = await question('GET', '/readyz', undefined, signal, statusOnly);
      return isDenial(answer) ? answer : answer.status < 500;
    },
    async answers(signal) {
      const answer = await question('GET', '/', undefined, signal, statusOnly);
      return isDenial(answer) ? answer : !OF_A_PROXY.has(answer.status);
    },
    async version(signal) {
      const answer = await question('GET', '/', undefined, signal);
      if (isDenial(answer)) return answer;
      const version = answer.status === 200 ? at(answer.body, 'version') : undefined;
      return typeof version === 'string' ? version : UPSTREAM_BROKEN;
    },
  };
}

/** False = cannot be a collection name; it is not sent, because it could change the path. */
export function isName(collection: string): boolean {
  if (collection === '' || collection === '.' || collection === '..') return false;
  if (/[/\0]/.test(collection) || !collection.isWellFormed()) return false;
  return [...collection].length <= MAX_NAME;
}

/** A request of the gateway's own. */
export interface OwnRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
  /** Credential headers. */
  readonly shown: readonly string[];
}

/**
 * Reads a whole answer.
 *
 * @param retryAfter the header's text
 */
export type ReadAnswer = (status: number, bytes: Buffer, retryAfter: string | undefined) => Answer | Denial;

/** Asks upstream. The whole answer goes through `read`; default: the JSON of a 200. */
export function ask(
  upstream: RestUpstream,
  { method, path, body, shown }: OwnRequest,
  signal: AbortSignal,
  read: ReadAnswer = readJson,
): Promise<Answer | Denial> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      resolve(UPSTREAM_TIMEOUT);
      return;
    }
    const chunks: Buffer[] = [];
    let status = 0;
    let retryAfter: string | undefined;
    let size = 0;
    let cancel = ignore;
    // An exception rejects, and is reported where the answer is awaited; a partial result is discarded.
    const owner = { fail: (error: unknown) => fail(error), cut: () => cancel() };
    const guard = new Guard(owner, 'rest_upstream', ignore);
    const onAbort = guard.entry((_event: Event) => {
      end(UPSTREAM_TIMEOUT);
      cancel();
    });
    const end = (answer: Answer | Denial): void => {
      signal.removeEventListener('abort', onAbort);
      resolve(answer);
    };
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
      cancel();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const take = (controller: Controller, chunk: Buffer): void => {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) controller.abort(new Error('answer too large'));
      else chunks.push(chunk);
    };
    const started = (controller: Controller): void => {
      cancel = () => controller.abort(new Error('not waited for any longer'));
      if (signal.aborted) cancel();
    };
    const headers = body === undefined ? [...shown] : ['content-type', 'application/json', ...shown];
    const refused = upstream.send(
      { method, path, headers, body: body ?? null },
      {
        onRequestStart: guard.entry(started),
        onResponseStart: guard.entry((controller: Controller, code: number) => {
          status = code;
          retryAfter = rawField(controller, 'retry-after');
        }),
        onResponseData: guard.entry(take),
        onResponseEnd: guard.entry(() => end(read(status, Buffer.concat(chunks), retryAfter))),
        onResponseError: guard.entry((_controller: Controller, error: Error) => end(toUpstreamDenial(error))),
      },
    );
    if (refused) end(refused);
  });
}

/** The value of a header of the answer; `undefined` = it has none. @param name in lower case */
function rawField({ rawHeaders }: Controller, name: string): string | undefined {
  if (!Array.isArray(rawHeaders)) return undefined;
  const at = rawHeaders.findIndex((part, index) => index % 2 === 0 && String(part).toLowerCase() === name);
  return at < 0 ? undefined : String(rawHeaders[at + 1]);
}

type Controller = Dispatcher.DispatchController;

/** For an answer that is not JSON. */
function keyVerdictOf(answer: Answer | Denial): KeyVerdict | Denial {
  if (isDenial(answer)) return answer;
  if (isSuspect(answer.status)) return 'refused';
  return answer.status < 500 ? 'accepted' : UPSTREAM_BROKEN;
}

function statusAndText(status: number, bytes: Buffer): Answer {
  return { status, body: bytes.toString('utf8') };
}

function statusOnly(status: number): Answer {
  return { status, body: undefined };
}

export function readJson(status: number, bytes: Buffer): Answer | Denial {
  if (status !== 200 || bytes.length === 0) return { status, body: undefined };
  try {
    return { status, body: JSON.parse(bytes.toString('utf8')) };
  } catch {
    return UPSTREAM_BROKEN;
  }
}

function indexOf(info: unknown): PayloadIndex {
  return { type: String(at(info, 'data_type')), isTenant: at(at(info, 'params'), 'is_tenant') === true };
}

/** True = there is no answer. */
export function isDenial(answer: Answer | Denial): answer is Denial {
  return 'kind' in answer;
}

/** An own member of a parsed JSON object. */
export function at(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return Reflect.get(value, key);
}

function ignore(): void {}
