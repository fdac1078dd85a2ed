/** A fault of a request to the stand-in, with the status that it is answered with. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Id = number | string;

interface Point {
  readonly id: Id;
  readonly vector: readonly number[];
  readonly payload: object;
}

interface Collection {
  readonly vectors: { readonly size: number; readonly distance: string };
  readonly points: Map<Id, Point>;
}

/** A JSON object, unchecked. */
export type Body = Readonly<Record<string, unknown>>;

/** Most points of all collections together: the stand-in lives in the memory of the demo. */
const MOST_POINTS = 10_000;
const MOST_DIMENSIONS = 4096;
/** The answer to a write. */
const DONE: Body = { operation_id: 0, status: 'completed' };

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
const differences = (a: readonly number[], b: readonly number[]): number[] =>
  a.map((value, at) => value - (b[at] ?? 0));

/** Similarity by distance; with `ascending`, the smallest is the nearest. */
const SCORES: Readonly<Record<string, (a: readonly number[], b: readonly number[]) => number>> = {
  Dot: dot,
  Cosine: (a, b) => dot(a, b) / (Math.sqrt(dot(a, a) * dot(b, b)) || 1),
  Euclid: (a, b) => Math.hypot(...differences(a, b)),
  Manhattan: (a, b) => differences(a, b).reduce((sum, value) => sum + Math.abs(value), 0),
};
const ASCENDING = ['Euclid', 'Manhattan'];

const isObject = (value: unknown): value is Body => typeof value === 'object' && value !== null;
const isId = (value: unknown): value is Id => typeof value === 'string' || Number.isSafeInteger(value);
const isVector = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'number' && Number.isFinite(one));

/**
 * The collections of the demo: one dense vector for each point, searched one by one. What Qdrant has beyond that (filters, named vectors,
 * indexes) is refused with 400, never answered wrongly.
 */
export class Collections {
  readonly #all = new Map<string, Collection>();

  names(): readonly string[] {
    return [...this.#all.keys()];
  }

  has(name: string): boolean {
    return this.#all.has(name);
  }

  create(name: string, body: Body): true {
    refuseUnknown(body, ['vectors']);
    const { vectors } = body;
    if (this.#all.has(name)) throw new Refused(409, `Wrong input: Collection \`${name}\` already exists!`);
    const { size, distance, ...more } = isObject(vectors) ? vectors : {};
    refuseUnknown(more, []);
    if (!Number.isSafeInteger(size) || typeof size !== 'number' || size < 1 || size > MOST_DIMENSIONS) {
      throw new Refused(400, `the demo takes one unnamed vector of 1 to ${MOST_DIMENSIONS} dimensions`);
    }
    if (typeof distance !== 'string' || !Object.hasOwn(SCORES, distance)) {
      throw new Refused(400, `Format error in JSON body: distance is one of ${Object.keys(SCORES).join(', ')}`);
    }
    this.#all.set(name, { vectors: { size, distance }, points: new Map() });
    return true;
  }

  delete(name: string): boolean {
    return this.#all.delete(name);
  }

  /** The answer of GET /collections/{name}. Source: OpenAPI of Qdrant 1.20, `CollectionInfo`. */
  info(name: string): Body {
    const { vectors, points } = this.#find(name);
    return {
      status: 'green',
      optimizer_status: 'ok',
      indexed_vectors_count: 0,
      points_count: points.size,
      segments_count: 1,
      config: {
        params: {
          vectors,
          shard_number: 1,
          replication_factor: 1,
          write_consistency_factor: 1,
          on_disk_payload: false,
        },
        hnsw_config: { m: 16, ef_construct: 100, full_scan_threshold: 10_000 },
        optimizer_config: {
          ...{ deleted_threshold: 0.2, vacuum_min_vector_number: 1000, default_segment_number: 0 },
          flush_interval_sec: 5,
        },
        wal_config: { wal_capacity_mb: 32, wal_segments_ahead: 0 },
      },
      payload_schema: {},
    };
  }

  /** Takes all points or none. */
  upsert(name: string, body: Body): Body {
    refuseUnknown(body, ['points']);
    const { points } = body;
    const collection = this.#find(name);
    if (!Array.isArray(points)) throw new Refused(400, 'Format error in JSON body: `points` has to be a list');
    const taken = points.map((point) => pointOf(point, collection.vectors.size));
    const fresh = taken.filter(({ id }) => !collection.points.has(id)).length;
    const held = [...this.#all.values()].reduce((sum, one) => sum + one.points.size, 0);
    if (held + fresh > MOST_POINTS) throw new Refused(400, `the demo holds at most ${MOST_POINTS} points`);
    for (const point of taken) collection.points.set(point.id, point);
    return DONE;
  }

  remove(name: string, body: Body): Body {
    refuseUnknown(body, ['points']);
    const { points } = body;
    const collection = this.#find(name);
    if (!Array.isArray(points)) throw new Refused(400, 'the demo deletes points by a list of ids only');
    for (const id of points) collection.points.delete(id);
    return DONE;
  }

  count(name: string, body: Body): number {
    refuseUnknown(body, ['exact']);
    return this.#find(name).points.size;
  }

  retrieve(name: string, body: Body): readonly Body[] {
    refuseUnknown(body, ['ids', ...SHOWN]);
    const { points } = this.#find(name);
    const ids = Array.isArray(body.ids) ? body.ids : [];
    return ids.flatMap((id) => {
      const point = points.get(id);
      return point === undefined ? [] : [shown(point, body, true)];
    });
  }

  scroll(name: string, body: Body): readonly Body[] {
    refuseUnknown(body, ['limit', ...SHOWN]);
    const points = [...this.#find(name).points.values()];
    return points.slice(0, limitOf(body)).map((point) => shown(point, body, true));
  }

  /** The nearest points of a vector, or of a point by its id. */
  query(name: string, body: Body): readonly Body[] {
    refuseUnknown(body, ['query', 'limit', 'params', ...SHOWN]);
    const { points, vectors } = this.#find(name);
    const asked = isObject(body.query) && 'nearest' in body.query ? body.query.nearest : body.query;
    const target = isId(asked) ? points.get(asked)?.vector : asked;
    if (!isVector(target) || target.length !== vectors.size) {
      throw new Refused(400, `the demo searches by a vector of ${vectors.size} dimensions, or by the id of a point`);
    }
    const score = SCORES[vectors.distance] ?? dot;
    const sign = ASCENDING.includes(vectors.distance) ? 1 : -1;
    return [...points.values()]
      .filter(({ id }) => id !== asked)
      .map((point) => ({ point, score: score(target, point.vector) }))
      .sort((one, other) => sign * (one.score - other.score))
      .slice(0, limitOf(body))
      .map((hit) => ({ ...shown(hit.point, body, false), version: 0, score: hit.score }));
  }

  #find(name: string): Collection {
    const found = this.#all.get(name);
    if (found === undefined) throw new Refused(404, `Not found: Collection \`${name}\` doesn't exist!`);
    return found;
  }
}

function pointOf(value: unknown, size: number): Point {
  const { id, vector, payload } = isObject(value) ? value : {};
  if (!isId(id)) throw new Refused(400, 'Format error in JSON body: a point has an `id`, a number or a text');
  if (!isVector(vector) || vector.length !== size) {
    throw new Refused(400, `Wrong input: Vector dimension error: expected dim: ${size}`);
  }
  return { id, vector, payload: isObject(payload) ? payload : {} };
}

function shown({ id, payload, vector }: Point, body: Body, payloadByDefault: boolean): Body {
  return {
    id,
    ...((body.with_payload ?? payloadByDefault) ? { payload } : {}),
    ...((body.with_vector ?? body.with_vectors) ? { vector } : {}),
  };
}

function limitOf({ limit }: Body): number {
  return typeof limit === 'number' && limit >= 1 ? limit : 10;
}

/** Members that say what of a point is shown, as true or false. */
const SHOWN = ['with_payload', 'with_vector', 'with_vectors'];

/** A member that is not known is refused, not passed over: the answer would be another one than that of Qdrant. */
function refuseUnknown(body: Body, known: readonly string[]): void {
  for (const [name, value] of Object.entries(body)) {
    if (value === undefined || value === null) continue;
    if (!known.includes(name)) throw new Refused(400, `the demo knows no \`${name}\` here`);
    if (SHOWN.includes(name) && typeof value !== 'boolean') {
      throw new Refused(400, `the demo takes true or false for \`${name}\``);
    }
  }
}
