import { isDeepStrictEqual } from 'node:util';
import { IDS, PointDraw } from '../engine/points.ts';
import { isObject, type Json, type JsonObject, listOf, objectOf, writeJson } from '../fake-qdrant/json.ts';
import { firstPoints, type TenantOperation, tenantOperation, WRITE_NAMES } from './operations.ts';
import { comparable, type Reply, type Way } from './ways.ts';

/*
 * The model of tenants that share a collection: for each of them, the same operations on a collection of its own. Each tenant has
 * two ways: `shared` is under test, `own` leads to a collection that no other tenant has.
 *
 * Ids of two tenants may meet. The tenant that has a point keeps it. For the others the point is not there, and an upsert of its id
 * changes nothing and is `completed`, as upstream answers a condition that does not hold. The own collection of the others must not
 * get the point, so that it is left out of what is asked there.
 */

/** One tenant: its two ways. */
export interface Tenant {
  readonly name: string;
  readonly shared: Way;
  readonly own: Way;
}

/** How to run the model. */
export interface ModelOptions {
  /** The payload field of the tenants; answers of `shared` may show it. */
  readonly field: string;
  /**
   * What `shared` makes of points that are named in a write and are not there: `fault` = upstream's 404, `quiet` = they are passed
   * over. A deletion of points passes over them in any case.
   */
  readonly missing: 'fault' | 'quiet';
  /** Whether the tenants draw their ids from the same few. */
  readonly colliding: boolean;
  readonly operations: number;
  /**
   * Both are a real Qdrant: of several faults of one request each may name another one, since it checks bodies before it looks for points;
   * points with equal values or scores come in any order, and so do queries by the ranks of such points, matrices are of random points, and
   * a fault of its own (500) is no difference. Points in the answers are the tenant's all the same.
   */
  readonly real?: boolean;
}

/** An operation that was carried out. */
type Done = readonly [tenant: Tenant, operation: TenantOperation];

/** Where a tenant's answers differ. */
export class ModelDifference extends Error {}

/** An id that no tenant has: deleting it is completed, and changes nothing. */
const NOBODYS = 4_000_000_007;
const NOTHING: TenantOperation['body'] = { points: [NOBODYS] };

/** Runs one random sequence for all tenants, in turns; throws the first difference. Answers how many operations were refused. */
export async function runSequence(tenants: readonly Tenant[], seed: number, options: ModelOptions): Promise<number> {
  const tape = { seed, length: Number.POSITIVE_INFINITY };
  const turns = new PointDraw(tape);
  const draws = new Map(
    tenants.map((tenant, at) => [tenant, new PointDraw({ ...tape, seed: seed * 7 + at }, idsOf(at, options))]),
  );
  const past: Done[] = [];
  let refused = 0;
  for (let at = 0; at < options.operations; at += 1) {
    const tenant = at < tenants.length ? tenants[at] : turns.of(tenants);
    const draw = tenant === undefined ? undefined : draws.get(tenant);
    if (tenant === undefined || draw === undefined) break;
    const operation = at < tenants.length ? firstPoints(draw) : tenantOperation(draw);
    past.push([tenant, operation]);
    const wanted = await modelled(tenants, tenant, operation, options);
    const [shared, own] = [await tenant.shared(operation), await tenant.own(wanted)];
    await check(seed, past, options, shared, own);
    if (own.code >= 400 || (own.code > 0 && own.code < 200)) refused += 1;
  }
  await checkContents(tenants, seed, past, options);
  return refused;
}

// Ids that no other tenant has: those of the pool, moved.
function idsOf(at: number, { colliding }: ModelOptions): readonly Json[] {
  if (colliding || at === 0) return IDS.slice(0, colliding ? 10 : IDS.length);
  return IDS.map((id) =>
    typeof id === 'string' ? `${at}${id.slice(1)}` : Number(BigInt(id as number) % 1000n) + at * 1000,
  );
}

const EVERYTHING: TenantOperation = {
  op: 'scroll',
  body: { limit: 1000, with_payload: true, with_vector: true },
  protocol: 'rest',
};

async function checkContents(
  tenants: readonly Tenant[],
  seed: number,
  past: readonly Done[],
  options: ModelOptions,
): Promise<void> {
  for (const tenant of tenants) {
    const after: readonly Done[] = [...past, [tenant, EVERYTHING]];
    const [shared, own] = [await tenant.shared(EVERYTHING), await tenant.own(EVERYTHING)];
    await check(seed, after, options, shared, own);
  }
}

/** Throws if the answers to the last of `past` differ. */
async function check(
  seed: number,
  past: readonly Done[],
  { field, real }: ModelOptions,
  shared: Reply,
  own: Reply,
): Promise<void> {
  const last = past.at(-1);
  if (last === undefined) return;
  const [tenant, operation] = last;
  const { protocol } = operation;
  const seen = { code: shared.code, answer: comparable(shared.answer, field, protocol) };
  const wanted = { code: own.code, answer: comparable(own.answer, field, protocol) };
  if (isDeepStrictEqual(seen, wanted)) return;
  if (real && (await mayDiffer(tenant, operation, seen, wanted))) return;
  const lines = [`seed ${seed}: shared ${writeJson(seen)}`, `own ${writeJson(wanted)}`, 'after:'];
  for (const [{ name }, done] of past) lines.push(`${name}: ${writeJson(done)}`);
  throw new ModelDifference(lines.join('\n'));
}

/** Whether two collections of a real Qdrant may answer an operation so. */
async function mayDiffer(tenant: Tenant, { op, body }: TenantOperation, seen: Reply, wanted: Reply): Promise<boolean> {
  if ([seen, wanted].every(isFault) || [seen, wanted].some(isOfUpstream)) return true;
  const held = new Set(await heldBy(tenant));
  if (seen.code !== wanted.code || !idsShown(seen.answer).every((id) => held.has(id))) return false;
  if (/matrix/.test(op)) return true;
  if ('order_by' in body && isDeepStrictEqual(orderOf(seen), orderOf(wanted))) return true;
  const sameScores = isDeepStrictEqual(scoresOf(seen.answer), scoresOf(wanted.answer));
  return (sameScores && hasTies(await tenant.own(widened(op, body)))) || areRankedByTies(tenant, body);
}

/** The same of all points: the last one shown may have the score of one that is not. */
function widened(op: string, body: JsonObject): TenantOperation {
  const wide = (one: JsonObject): JsonObject => ({ ...one, limit: 1000, offset: undefined });
  const searches = listOf(body.searches).map((one) => wide(objectOf(one)));
  const sizes = { ...(op === 'query_groups' && { group_size: 1000 }), ...(op === 'query_batch' && { searches }) };
  return { op, body: { ...wide(body), ...sizes }, protocol: 'rest' };
}

/** The ids of all points in an answer. */
function idsShown(answer: Json): string[] {
  if (Array.isArray(answer)) return answer.flatMap((one) => idsShown(one));
  if (!isObject(answer)) return [];
  const { payload: _payload, id, a, b, ids, ...rest } = answer;
  const named = [...('hits' in answer ? [] : [id]), a, b, ...listOf(ids)].filter((one) => one !== undefined);
  const texts = named.map((one) => String(isObject(one) ? (one.num ?? one.uuid) : one));
  return [...texts, ...Object.values(rest).flatMap((one) => idsShown(one ?? null))];
}

/** Whether a query counts the ranks of points of which some have the same score. */
async function areRankedByTies(tenant: Tenant, body: JsonObject): Promise<boolean> {
  for (const inner of [...listOf(body.searches), ...listOf(body.prefetch)].map(objectOf)) {
    if (await areRankedByTies(tenant, inner)) return true;
    if (body.prefetch === undefined) continue;
    if (hasTies(await tenant.own(widened('query', inner)))) return true;
  }
  return false;
}

const FAULT = /Validation error|Not found: (?:No point|Vector with name)|Wrong input|a point is missing/;

/** A refusal for what the request says: of its form, or of a point or vector that is not there. */
function isFault({ code, answer }: Reply): boolean {
  const isRefused = [400, 404, 422, 3, 5].includes(code);
  return isRefused && FAULT.test(writeJson(answer));
}

/** A fault of Qdrant's own: it ends some tasks and connections, more of them with debug assertions (Qdrant v1.19.0). */
function isOfUpstream({ code, answer }: Reply): boolean {
  return [500, 502, 1, 13, 14].includes(code) && /panicked|stream closed|no valid answer/.test(writeJson(answer));
}

/** Whether some points have the same score. */
function hasTies({ answer }: Reply): boolean {
  const scores = scoresOf(answer);
  return new Set(scores).size < scores.length;
}

/** The scores of all points in an answer; gRPC leaves out 0. */
function scoresOf(answer: Json): Json[] {
  if (Array.isArray(answer)) return answer.flatMap((one) => scoresOf(one));
  if (!isObject(answer)) return [];
  const isPoint = 'id' in answer && !('hits' in answer);
  return isPoint ? [answer.score ?? 0] : Object.values(answer).flatMap((one) => scoresOf(one ?? null));
}

/** The values by which points are in order. */
function orderOf({ code, answer }: Reply): Json {
  const points = listOf(isObject(answer) ? (answer.points ?? answer.result ?? null) : null);
  const values = points.map((point) => objectOf(point).order_value ?? objectOf(point).orderValue ?? null);
  return [code, ...values];
}

/** What the operation is on the collection of the tenant alone. */
async function modelled(
  tenants: readonly Tenant[],
  tenant: Tenant,
  operation: TenantOperation,
  { missing, colliding, real }: ModelOptions,
): Promise<TenantOperation> {
  if (!WRITE_NAMES.has(operation.op)) {
    return real ? ofStoredPoints(operation) : operation;
  }
  const others = colliding ? tenants.filter((one) => one !== tenant) : [];
  const foreign = new Set((await Promise.all(others.map(heldBy))).flat());
  const held = missing === 'quiet' ? new Set(await heldBy(tenant)) : undefined;
  if (operation.op !== 'batch') {
    const [op, body] = alone(operation.op, operation.body, foreign, held);
    return { ...operation, op, body };
  }
  // Upstream carries the operations of a batch out one by one, so that a point of the first may be there for the second.
  const operations: Json[] = [];
  for (const [op, body] of listOf(operation.body.operations).flatMap((one) => Object.entries(objectOf(one)))) {
    const [name, inner] = alone(op, objectOf(body), foreign, held);
    operations.push({ [name]: inner });
    for (const id of name === 'upsert' ? idsIn(inner) : []) held?.add(id);
  }
  return { ...operation, body: { operations } };
}

/** The gateway's question has counts and statistics of the points that are there; Qdrant's own may have those of deleted points, too. */
function ofStoredPoints(operation: TenantOperation): TenantOperation {
  const { op, body } = operation;
  if (op === 'facet') return { ...operation, body: { ...body, filter: body.filter ?? {}, exact: true } };
  if (op !== 'search' || objectOf(body.vector).name !== 'words') return operation;
  return { ...operation, body: { ...body, params: { idf: { corpus: {} } } } };
}

async function heldBy(tenant: Tenant): Promise<string[]> {
  const { answer } = await tenant.own({ op: 'scroll', body: { limit: 1000, with_payload: false }, protocol: 'rest' });
  return listOf(isObject(answer) ? answer.points : []).map((point) => String(objectOf(point).id));
}

function idsIn(body: JsonObject): string[] {
  return (
    isObject(body.batch) ? listOf(body.batch.ids) : listOf(body.points).map((one) => objectOf(one).id ?? null)
  ).map(String);
}

type Ids = ReadonlySet<string>;

function alone(op: string, body: JsonObject, foreign: Ids, held: Ids | undefined): [op: string, body: JsonObject] {
  if (op === 'upsert') {
    return emptied(op, isObject(body.batch) ? withoutColumns(body, body.batch, foreign) : withoutPoints(body, foreign));
  }
  if (held === undefined || op === 'delete' || body.points === undefined) {
    return [op, body];
  }
  const points = listOf(body.points).filter((one) => held.has(String(isObject(one) ? one.id : one)));
  return emptied(op, { ...body, points });
}

function withoutPoints(body: JsonObject, foreign: Ids): JsonObject {
  return { ...body, points: listOf(body.points).filter((one) => !foreign.has(String(objectOf(one).id))) };
}

function withoutColumns(body: JsonObject, batch: JsonObject, foreign: Ids): JsonObject {
  const keeps = listOf(batch.ids).map((id) => !foreign.has(String(id)));
  const kept = (column: Json | undefined): Json[] => listOf(column).filter((_value, at) => keeps[at]);
  const vectors = Object.entries(objectOf(batch.vectors)).map(([name, column]) => [name, kept(column)]);
  const rest = { ids: kept(batch.ids), vectors: Object.fromEntries(vectors), payloads: kept(batch.payloads) };
  return { ...body, batch: rest };
}

// Where nothing is left, what is asked instead has the same answer.
function emptied(op: string, body: JsonObject): [op: string, body: JsonObject] {
  const left = isObject(body.batch) ? listOf(body.batch.ids) : listOf(body.points);
  return left.length === 0 ? ['delete', NOTHING] : [op, body];
}
