import type { Json, JsonObject } from '../fake-qdrant/json.ts';
import { askGrpc } from './grpc-way.ts';
import type { TenantOperation } from './operations.ts';
import { askRest } from './rest-way.ts';

/** A collection as one caller reaches it. */
export interface Target {
  readonly restUrl: string;
  readonly grpcUrl: string;
  readonly collection: string;
  /** Headers of every request, such as a key. */
  readonly headers: Readonly<Record<string, string>>;
}

/** An answer: HTTP status or gRPC code, and the result or what was said of the refusal. */
export interface Reply {
  readonly code: number;
  readonly answer: Json;
}

/** How the operations of one tenant are carried out. */
export type Way = (operation: TenantOperation) => Promise<Reply>;

/** Carries operations out over their own protocols on one collection. */
export function wayTo(target: Target): Way {
  return ({ op, body, protocol }) => (protocol === 'rest' ? askRest(target, op, body) : askGrpc(target, op, body));
}

/** Members that tell of the server and not of the points. */
const ASIDE = new Set(['operation_id', 'operationId', 'time', 'usage', 'version']);

/**
 * An answer without what two collections may have otherwise: numbers of operations, versions, times, the tenants' own field, and
 * the order of hits with the same score.
 */
export function comparable(value: Json, field: string, protocol: 'rest' | 'grpc'): Json {
  if (Array.isArray(value)) return evened(value.map((item) => comparable(item, field, protocol)));
  if (value === null || typeof value !== 'object') return value;
  const shown: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined || ASIDE.has(name)) continue;
    const inner = comparable(member, field, protocol);
    const kept = name === 'payload' ? withoutField(inner, field) : inner;
    // A message shows no map that is empty.
    if (name !== 'payload' || protocol === 'rest' || Object.keys(kept as JsonObject).length > 0) shown[name] = kept;
  }
  return shown;
}

function withoutField(payload: Json, field: string): Json {
  const { [field]: _own, ...rest } = payload as JsonObject;
  return rest;
}

function evened(items: Json[]): Json[] {
  const key = (item: Json): string =>
    JSON.stringify(item, (_name, one: Json) => (typeof one === 'bigint' ? String(one) : one));
  const scoreOf = (item: Json): Json | undefined =>
    item !== null && typeof item === 'object' && !Array.isArray(item) ? item.score : undefined;
  const runs: Json[][] = [];
  for (const item of items) {
    const last = runs.at(-1);
    const score = scoreOf(item);
    if (last !== undefined && score !== undefined && scoreOf(last[0] ?? null) === score) last.push(item);
    else runs.push([item]);
  }
  return runs.flatMap((run) => (run.length < 2 ? run : run.sort((a, b) => (key(a) < key(b) ? -1 : 1))));
}
