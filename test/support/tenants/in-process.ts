import { fromBinary, toJson } from '@bufbuild/protobuf';
import { answerSlotsOf } from '../../../src/grpc/answer-slots.ts';
import type { GrpcExchange } from '../../../src/grpc/exchange.ts';
import { rewriteMessage } from '../../../src/grpc/tenants/rewrite.ts';
import { tenantAnswer } from '../../../src/grpc/tenants/tenant-answer.ts';
import { Rewriter } from '../../../src/grpc/tenants/thread/rewriter.ts';
import { createAnswerMemory } from '../../../src/limits/answer-memory.ts';
import type { Permit } from '../../../src/policy/decide.ts';
import {
  type Denial,
  type GrpcCode,
  pointDoesNotExist,
  pointNotFound,
  upstreamRefused,
} from '../../../src/policy/denial.ts';
import type { IdCheck, Rewriting } from '../../../src/policy/tenants/rewriting.ts';
import type { Tenancy, TenantCondition } from '../../../src/policy/tenants/tenancy.ts';
import { changeForTenant } from '../../../src/rest/tenants/answers.ts';
import { conditionText, idText } from '../../../src/rest/tenants/reading.ts';
import type { TenantRequest } from '../../../src/rest/tenants/request.ts';
import { rewriteRequest } from '../../../src/rest/tenants/rewrite.ts';
import { FactsOfCollections } from '../../../src/upstream/collection-facts.ts';
import { NO_CREDENTIAL } from '../../../src/upstream/credential.ts';
import { callInProcess } from '../fake-qdrant/grpc.ts';
import type { Json } from '../fake-qdrant/json.ts';
import { answerInProcess, askInProcess } from '../fake-qdrant/rest.ts';
import type { Store } from '../fake-qdrant/store.ts';
import { messageOf } from './grpc-way.ts';
import type { TenantOperation } from './operations.ts';
import { replyOf, requestOf, routeOf } from './rest-way.ts';
import type { Reply, Way } from './ways.ts';

/*
 * The rewriting of requests before the stand-in, without a socket: a sequence costs a few milliseconds. What stands around it (transports,
 * identity, limits) is not met.
 */

const FEATURES = { updateFilter: true, idfCorpus: true } as const;
const FACTS = { idfVectors: new Set(['words']), hasShardKeys: false };

/** Carries operations out on a collection of the stand-in. */
export function directWay(store: Store, collection: string): Way {
  const context = { store, version: '1.20.0' };
  return async ({ op, body, protocol }) => {
    if (protocol === 'rest') {
      const { method, path } = routeOf(op, body, collection);
      const asked = { method, target: path, body: op === 'retrieve_one' ? null : body };
      const answer = askInProcess(context, asked);
      return 'result' in answer ? { code: 200, answer: answer.result } : replyOf(answer.status, answer.refusal);
    }
    const { name, bytes, schema } = messageOf(op, body, collection);
    const answer = callInProcess(`/qdrant.Points/${name}`, bytes, context);
    return 'code' in answer
      ? refusedReply(answer)
      : { code: 0, answer: toJson(schema, fromBinary(schema, answer)) as Json };
  };
}

/** Carries them out for a tenant, as the gateway makes them anew. */
export function rewrittenWay(store: Store, collection: string, condition: TenantCondition): Way {
  const tenancy: Tenancy = { scopes: [{ names: new Set([collection]), prefixes: [], holds: condition }] };
  const tenant = { store, collection, tenancy, conditions: [condition] };
  return (operation) => (operation.protocol === 'rest' ? overRest(tenant, operation) : overGrpc(tenant, operation));
}

interface InProcess {
  readonly store: Store;
  readonly collection: string;
  readonly tenancy: Tenancy;
  readonly conditions: readonly TenantCondition[];
}

/** Rows whose names are not those of the operations. */
const ROWS: Readonly<Record<string, string>> = {
  retrieve: 'get',
  retrieve_one: 'get_one',
  matrix_pairs: 'search_matrix_pairs',
  matrix_offsets: 'search_matrix_offsets',
};

async function overRest(tenant: InProcess, { op, body }: TenantOperation): Promise<Reply> {
  const { store, collection, tenancy } = tenant;
  const { method, path, text } = requestOf(op, body, collection);
  const made = rewriteRequest(
    {
      ...{ operation: `points.${ROWS[op] ?? op}`, method, pathToSend: path, tenancy, features: FEATURES, ...FACTS },
      ...{ params: [collection, String(body.id)], maxDepth: 64, maxBytes: 1 << 25 },
    },
    Buffer.from(text),
  );
  if ('kind' in made) return refusal(made);
  for (const check of made.checks) {
    const missing = missingOf(store, check);
    if (missing !== undefined) return refusal(pointNotFound(missing));
  }
  return changedReply(store, made);
}

function changedReply(store: Store, { request, answer }: Rewriting<TenantRequest>): Reply {
  const body = request.body ? Buffer.from(request.body).toString() : '';
  const found = answerInProcess({ store, version: '1.20.0' }, { method: request.method, target: request.path, body });
  if (found.status >= 300 || answer === undefined) return replyOf(found.status, found.body);
  if (answer.kind === 'collection') throw new TypeError('the model asks for points only');
  const changed = changeForTenant(answer, Buffer.from(found.body));
  if (changed.length > 0) return replyOf(200, changed.toString());
  return refusal(pointDoesNotExist((answer.kind === 'retrieved' && answer.ids[0]) || ''));
}

function refusal({ status, message }: Denial): Reply {
  return { code: status, answer: { error: message } };
}

function refusedReply({ code, message }: { readonly code: number; readonly message: string }): Reply {
  return { code, answer: message };
}

/** The first id that the tenant does not have. */
function missingOf(store: Store, { collection, ids, conditions }: IdCheck): IdCheck['ids'][number] | undefined {
  const must = [...conditions.map(conditionText), `{"has_id":[${ids.map(idText).join(',')}]}`];
  const body = `{"limit":${ids.length},"with_payload":false,"filter":{"must":[${must.join(',')}]}}`;
  const target = `/collections/${collection}/points/scroll`;
  const found = answerInProcess({ store, version: '1.20.0' }, { method: 'POST', target, body }).body;
  const there = new Set(Array.from(found.matchAll(/"id":("[^"]*"|\d+)/g), ([, id]) => id));
  return ids.find((id) => !there.has(idText(id)));
}

/** Of answers that are too large for the event loop: there are none here. */
const SLOTS = answerSlotsOf(createAnswerMemory(60_000)).tenants;
const REWRITER = new Rewriter((error) => {
  throw error;
});

async function overGrpc(
  { store, collection, tenancy, conditions }: InProcess,
  { op, body }: TenantOperation,
): Promise<Reply> {
  const { name, bytes, schema } = messageOf(op, body, collection);
  const made = rewriteMessage(`qdrant.Points/${name}`, bytes, {
    ...{ tenancy, collection, conditions, features: FEATURES, idfVectors: FACTS.idfVectors },
    mostBytes: 1 << 25,
  });
  if (made === 'needs-facts') throw new TypeError('the facts are known');
  if ('kind' in made) return refusedReply({ code: made.grpc, message: made.message });
  const exchange = { headers: [], remote: '127.0.0.1' } as unknown as GrpcExchange;
  const facts = new FactsOfCollections(
    async () => FACTS,
    () => 0,
  );
  const parts = { credential: NO_CREDENTIAL, facts, rewriter: REWRITER, slots: SLOTS };
  const permit = { operation: {} } as unknown as Permit;
  const call = new AbortController();
  const question = tenantAnswer(exchange, permit, made, parts);
  const answer = await question({ ask: asker(store) } as never, permit, call.signal);
  // The call has ended: its place is free. With a reason, since one that is made has a stack.
  call.abort('ended');
  if (answer.kind === 'denial') return refusedReply({ code: answer.grpc, message: answer.message });
  return { code: 0, answer: toJson(schema, fromBinary(schema, answer.message)) as Json };
}

function asker(store: Store) {
  return async (path: string, message: Buffer) => {
    const answer = callInProcess(path, message, { store, version: '1.20.0' });
    return 'code' in answer
      ? upstreamRefused(400, answer.code as GrpcCode, answer.message, undefined)
      : { kind: 'message', message: Buffer.from(answer) };
  };
}
