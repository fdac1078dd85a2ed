import { addedHeaders } from '../../exchange/request-id.ts';
import { shareOwner } from '../../exchange/share-owner.ts';
import type { Permit } from '../../policy/decide.ts';
import {
  ANSWERS_BUSY,
  COLLECTIONS_UNKNOWN,
  type Denial,
  pointNotFound,
  TENANT_SHARDED,
  UPSTREAM_BROKEN,
} from '../../policy/denial.ts';
import type { AnswerChange, IdCheck, Rewriting } from '../../policy/tenants/rewriting.ts';
import { shardOf } from '../../policy/tenants/shard.ts';
import type { TenantCondition } from '../../policy/tenants/tenancy.ts';
import type { FactsOfCollections } from '../../upstream/collection-facts.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';
import { AFFINITY_HEADER } from '../../upstream/nodes/pick.ts';
import { type AskUpstream, credentialFields, type Question } from '../answer.ts';
import type { AnswerSlots } from '../answer-slots.ts';
import { grpcTimeoutOf } from '../call-timeout.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { Caller } from '../unary/asker.ts';
import type { Answer } from '../unary/unary-answer.ts';
import { countOf, idsOf, information } from './change-answer.ts';
import type { GrpcRequest } from './context.ts';
import { conditionsOf, hasId, within } from './filters.ts';
import { encode, make } from './messages/codec.ts';
import { selectorOf } from './shard-key.ts';
import { changeSoon } from './thread/change-soon.ts';
import type { Rewriter } from './thread/rewriter.ts';

const SCROLL = '/qdrant.Points/Scroll';
const COUNT = '/qdrant.Points/Count';
/** Milliseconds for a call without a time limit of its caller's, who may leave. */
const LONG_MS = 3_600_000;

/** The parts of a process that answers take. */
interface AnswerParts {
  /** Shown to upstream. */
  readonly credential: UpstreamCredential;
  /** Of collections that must not have shard keys. */
  readonly facts: FactsOfCollections;
  /** Changes large answers. */
  readonly rewriter: Rewriter;
  /** Where calls wait for their turn. */
  readonly slots: AnswerSlots;
}

/** The answer to a call that was made anew for a tenant: the ids it uses are checked, then it is sent, then the answer is changed. */
export function tenantAnswer(
  exchange: GrpcExchange,
  { operation }: Permit,
  rewriting: Rewriting<GrpcRequest>,
  { credential, facts, rewriter, slots }: AnswerParts,
): Question {
  const shown = credential.kind === 'callers' ? credentialFields(exchange.headers) : undefined;
  const leastMs = grpcTimeoutOf(exchange.headers) ?? LONG_MS;
  return async (upstream, _permit, signal) => {
    const place = await slots.wait(shareOwner(exchange), { leastMs, signal, exchange });
    if (!place) return ANSWERS_BUSY;
    const caller: Caller = { leastMs, shown, signal, exchange, place, added: addedFields(exchange) };
    for (const collection of rewriting.byIdAlone) {
      const sharded = await refusedByShards(facts, collection);
      if (sharded) return sharded;
    }
    for (const check of rewriting.checks) {
      const refused = await missing(upstream, check, caller);
      if (refused) return refused;
    }
    const { path, message } = rewriting.request;
    const answer = await upstream.ask(path, message, { ...caller, once: operation.long === true });
    if (answer.kind === 'denial') return answer;
    const { answer: change } = rewriting;
    if (!change) return answer;
    if (change.kind === 'collection') return informed(upstream, change, answer.message, caller);
    return changeSoon(rewriter, { path, change }, answer.message, { owner: shareOwner(exchange), signal });
  };
}

/** The refusal of a collection that has, or may have, shard keys. */
async function refusedByShards(facts: FactsOfCollections, collection: string): Promise<Denial | undefined> {
  const known = await facts.of(collection);
  if (!known) return COLLECTIONS_UNKNOWN;
  return known.hasShardKeys ? TENANT_SHARDED : undefined;
}

/** Headers that upstream reads, as a relayed call has them: name, value, ... */
function addedFields(exchange: GrpcExchange): readonly string[] {
  const { headers } = exchange;
  const fields = [...addedHeaders(exchange)];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at] === AFFINITY_HEADER) fields.push(AFFINITY_HEADER, headers[at + 1] ?? '');
  }
  return fields;
}

/** The refusal of the first id that is not the tenant's; `undefined` = all are. */
async function missing(upstream: AskUpstream, check: IdCheck, caller: Caller): Promise<Denial | undefined> {
  const { collection, ids, conditions } = check;
  const filter = within([...conditionsOf(conditions), hasId(ids)], undefined);
  const shard = shardOf(conditions);
  const scroll = make('ScrollPoints', {
    ...{ collectionName: collection, filter, limit: ids.length, withPayload: NOTHING },
    ...(shard && { shardKeySelector: selectorOf(shard) }),
  });
  const answer = await upstream.ask(SCROLL, encode('ScrollPoints', scroll), caller);
  if (answer.kind === 'denial') return answer;
  const there = idsOf(answer.message);
  const absent = ids.find((id) => !there.has(id));
  return absent === undefined ? undefined : pointNotFound(absent);
}

/** `WithPayloadSelector{enable: false}`. */
const NOTHING = Buffer.from([0x08, 0x00]);

async function informed(
  upstream: AskUpstream,
  { collection, conditions }: Extract<AnswerChange, { kind: 'collection' }>,
  message: Buffer,
  caller: Caller,
): Promise<Answer> {
  const count = await tenantsCount(upstream, collection, conditions, caller);
  return typeof count === 'bigint' ? { kind: 'message', message: information(message, count) } : count;
}

async function tenantsCount(
  upstream: AskUpstream,
  collectionName: string,
  conditions: readonly TenantCondition[],
  caller: Caller,
): Promise<bigint | Denial> {
  const filter = within(conditionsOf(conditions), undefined);
  const question = make('CountPoints', { collectionName, filter, exact: true });
  const answer = await upstream.ask(COUNT, encode('CountPoints', question), caller);
  if (answer.kind === 'denial') return answer;
  return countOf(answer.message) ?? UPSTREAM_BROKEN;
}
