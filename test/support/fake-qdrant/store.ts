import { randomBytes } from 'node:crypto';
import { Fault, missingCollection, wrongInput } from './fault.ts';
import { isObject, type Json, type JsonObject, numberOf } from './json.ts';

/** A point id: an unsigned 64-bit integer (bigint beyond 2^53) or a hyphenated lower-case UUID. */
export type PointId = number | bigint | string;

/** A sparse vector; indices ascend in no particular order. */
export type SparseVector = { indices: number[]; values: number[] };

/** One stored vector: dense, multi (rows) or sparse. */
export type Vector = number[] | number[][] | SparseVector;

/** A stored point. The default vector has the empty name. */
export type Point = { id: PointId; version: number; vectors: Map<string, Vector>; payload: JsonObject };

/** A snapshot of a collection, a shard or everything, with made-up content. */
export type Snapshot = { name: string; creationTime: string; content: Buffer; checksum: string };

/** A collection. `params` and `config` are kept in the form GET /collections/{name} shows. */
export type Collection = {
  name: string;
  params: JsonObject;
  config: JsonObject;
  points: Map<PointId, Point>;
  indexes: Map<string, Json>;
  snapshots: Map<string, Snapshot>;
  shardSnapshots: Map<string, Snapshot>;
};

/** The dense vector settings of a collection by vector name. */
export type DenseParams = { size: number; distance: string; multi: boolean };

/** Everything the stand-in remembers; REST and gRPC work on the same one. Lives as long as the process. */
export class Store {
  readonly collections = new Map<string, Collection>();
  readonly aliases = new Map<string, string>();
  readonly snapshots = new Map<string, Snapshot>();
  readonly metadata = new Map<string, Json>();
  #operations = 0;

  /** The collection of that name or alias; throws the 404 fault. */
  find(name: string): Collection {
    const found = this.collections.get(name) ?? this.collections.get(this.aliases.get(name) ?? '');
    if (found === undefined) {
      throw missingCollection(name);
    }
    return found;
  }

  /** Whether a collection or an alias has that name. */
  has(name: string): boolean {
    return this.collections.has(name) || this.aliases.has(name);
  }

  /** The next operation number. */
  nextOperation(): number {
    this.#operations += 1;
    return this.#operations;
  }

  /** Forgets everything. */
  clear(): void {
    this.collections.clear();
    this.aliases.clear();
    this.snapshots.clear();
    this.metadata.clear();
  }
}

const uuidPattern = /^(?:urn:uuid:)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i;

/** Reads a point id; integers stay exact up to 2^64-1, UUIDs are brought to one spelling. */
export function pointIdOf(value: Json | undefined): PointId {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) {
    return value;
  }
  if (typeof value === 'bigint' && value >= 0n && value <= 0xffff_ffff_ffff_ffffn) {
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }
  const uuid = typeof value === 'string' ? uuidPattern.exec(value) : null;
  if (uuid === null) {
    throw new Fault(
      'bad-input',
      `Format error in JSON body: value ${String(value)} is not a valid point ID, valid values are either an unsigned integer or a UUID`,
    );
  }
  return uuid.slice(1).join('-').toLowerCase();
}

/** Order of points in a scroll: integers ascending, then UUIDs. */
export function comparePointIds(a: PointId, b: PointId): number {
  const aIsText = typeof a === 'string';
  const bIsText = typeof b === 'string';
  if (aIsText !== bIsText) {
    return aIsText ? 1 : -1;
  }
  if (a === b) {
    return 0;
  }
  return a < b ? -1 : 1;
}

/** The dense settings of one vector name, or undefined where there is no such dense vector. */
export function denseParams(collection: Collection, name: string): DenseParams | undefined {
  const vectors = collection.params.vectors;
  if (!isObject(vectors)) {
    return undefined;
  }
  const single = vectors.size !== undefined && !isObject(vectors.size);
  const params = single ? (name === '' ? vectors : undefined) : vectors[name];
  if (!isObject(params)) {
    return undefined;
  }
  const distance = typeof params.distance === 'string' ? params.distance : 'Cosine';
  return { size: numberOf(params.size, 0), distance, multi: isObject(params.multivector_config) };
}

/** Whether the collection has a sparse vector of that name. */
export function hasSparse(collection: Collection, name: string): boolean {
  const sparse = collection.params.sparse_vectors;
  return isObject(sparse) && sparse[name] !== undefined;
}

/** The fault of a vector name the collection does not have. */
export function unknownVectorName(name: string): Fault {
  return wrongInput(`Not existing vector name error: ${name}`);
}

/** A new snapshot with random content of a few kilobytes. */
export function newSnapshot(stem: string): Snapshot {
  const now = new Date();
  const stamp = now.toISOString().slice(0, 19).replaceAll(':', '-');
  const content = randomBytes(4096);
  const name = `${stem}-${randomBytes(8).readBigUInt64BE()}-${stamp}.snapshot`;
  return { name, creationTime: now.toISOString().slice(0, 19), content, checksum: randomBytes(32).toString('hex') };
}
