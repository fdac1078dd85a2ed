import type { Dispatcher } from 'undici';
import { addedHeaders } from '../../exchange/request-id.ts';
import { shareOf } from '../../exchange/share-owner.ts';
import { stillStands } from '../../exchange/still-stands.ts';
import {
  ANSWERS_BUSY,
  type Denial,
  pointDoesNotExist,
  pointNotFound,
  TENANT_SHARDED,
  UPSTREAM_BROKEN,
} from '../../policy/denial.ts';
import type { Rewriting } from '../../policy/tenants/rewriting.ts';
import { shardOf } from '../../policy/tenants/shard.ts';
import type { TenantCondition } from '../../policy/tenants/tenancy.ts';
import type { FactsOfCollections } from '../../upstream/collection-facts.ts';
import { HeldBody } from '../body/held-body.ts';
import type { RestExchange } from '../exchange.ts';
import { toUpstreamHeaders } from '../headers.ts';
import type { LaneContext } from '../options.ts';
import { reject } from '../reject.ts';
import type { AnswerReservation } from '../response/answer-budget.ts';
import { WholeAnswer } from '../response/filtered-answer.ts';
import { StreamedAnswer, sendUpstream, type UpstreamAnswer } from '../server/forward.ts';
import type { TenantAnswer } from './answers.ts';
import { conditionText, idText } from './reading.ts';
import type { TenantRequest } from './request.ts';
import { shardText } from './shard-key.ts';
import { heardForTenant } from './task.ts';

/** Sends the request that was made anew for a tenant, once its points are known to exist, and changes the answer on its way. */
export function forwardAnew(exchange: RestExchange, rewriting: Rewriting<TenantRequest>, options: LaneContext): void {
  hold(exchange, rewriting.request);
  const { checks, answer, request } = rewriting;
  // A collection that must not have shard keys is one whose points are checked, too.
  if (checks.length === 0 && answer === undefined) {
    send(exchange, request, options, new AnewAnswer(exchange, options), false);
    return;
  }
  exchange.guard.settled(prepare(exchange, options, rewriting), (prepared) => {
    if (exchange.life.ended) return;
    if (prepared && prepared.kind === 'denial') reject(exchange, prepared, options.cors);
    else if (!prepared) send(exchange, request, options, new AnewAnswer(exchange, options), false);
    else sendForChange(exchange, request, options, prepared);
  });
}

/** Streams the answer as it comes. */
class AnewAnswer extends StreamedAnswer {
  readonly #facts: FactsOfCollections;

  constructor(exchange: RestExchange, options: LaneContext) {
    super(exchange, options);
    this.#facts = options.facts;
  }

  protected override head(controller: Dispatcher.DispatchController, status: number, headers: string[]): void {
    heardForTenant(this.exchange, status, this.#facts);
    super.head(controller, status, headers);
  }
}

/** INVARIANT: nothing of the client's body is sent from now on. */
function hold(exchange: RestExchange, { body }: TenantRequest): void {
  const bytes = body ? Buffer.from(body.buffer, body.byteOffset, body.byteLength) : Buffer.alloc(0);
  const held = exchange.body ? exchange.body.replacedBy(bytes) : new HeldBody(bytes);
  exchange.body = held;
  exchange.life.onEnd(() => held.release());
}

/** Asks what has to be known before. The change of the answer, or why the request is refused; `undefined` = it passes. */
async function prepare(
  exchange: RestExchange,
  options: LaneContext,
  { checks, answer, byIdAlone }: Rewriting<TenantRequest>,
): Promise<TenantAnswer | Denial | undefined> {
  const left = new AbortController();
  exchange.life.onEnd(() => left.abort());
  const { signal } = left;
  for (const collection of byIdAlone) {
    const facts = await options.facts.of(collection);
    if (facts?.hasShardKeys !== false) return facts ? TENANT_SHARDED : UPSTREAM_BROKEN;
  }
  for (const { collection, conditions, ids } of checks) {
    const wanted = ids.map(idText);
    const filter = filterText(conditions, wanted);
    const shard = shardOf(conditions);
    const fallen = await stillStands(options.parts, exchange);
    if (fallen) return fallen;
    const about = { collection, signal, shardKey: shard && shardText(shard) };
    const found = await options.questions.ids(filter, ids.length, about);
    // Upstream says itself that a collection is not there.
    if (found === 'no-collection') continue;
    if ('kind' in found) return found;
    const missing = ids.find((_, at) => !found.has(wanted[at] ?? ''));
    if (missing !== undefined) return pointNotFound(missing);
  }
  if (answer?.kind !== 'collection') return answer;
  const { collection, conditions } = answer;
  const fallen = await stillStands(options.parts, exchange);
  if (fallen) return fallen;
  const points = await options.questions.count(filterText(conditions, undefined), { collection, signal });
  if (points === 'no-collection') return { kind: 'collection', points: 0 };
  return typeof points === 'number' ? { kind: 'collection', points } : points;
}

/** @param ids texts; `undefined` = all points */
function filterText(conditions: readonly TenantCondition[], ids: readonly string[] | undefined): string {
  const must = conditions.map(conditionText);
  if (ids) must.push(`{"has_id":[${ids.join(',')}]}`);
  return `{"must":[${must.join(',')}]}`;
}

/** The answer is held until it is whole: it has a place before the request is sent. */
function sendForChange(
  exchange: RestExchange,
  request: TenantRequest,
  options: LaneContext,
  change: TenantAnswer,
): void {
  const [one] = change.kind === 'retrieved' && change.one ? change.ids : [];
  const go = (place: AnswerReservation): void => {
    const task = { kind: 'answer', tenant: change } as const;
    const changed = { task, strict: true, errorsPass: true, place } as const;
    const handler = new WholeAnswer(
      exchange,
      options,
      one === undefined ? changed : { ...changed, absent: pointDoesNotExist(one) },
    );
    send(exchange, request, options, handler, true);
  };
  options.answers.take(shareOf(exchange, exchange.peer), exchange, go, () =>
    reject(exchange, ANSWERS_BUSY, options.cors),
  );
}

function send(
  exchange: RestExchange,
  { method, path, body }: TenantRequest,
  options: LaneContext,
  handler: UpstreamAnswer,
  readable: boolean,
): void {
  const headers = toUpstreamHeaders(exchange, {
    readable,
    contentLength: body?.byteLength ?? 0,
    credential: options.credential(),
    added: addedHeaders(exchange),
    anew: true,
  });
  sendUpstream(exchange, options, { method, path, headers }, handler);
}
