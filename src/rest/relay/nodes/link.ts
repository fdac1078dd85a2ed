import { type Denial, UPSTREAM_TIMEOUT } from '../../../policy/denial.ts';
import type { Node, NodeFailure } from '../../../upstream/nodes/node.ts';
import type { NodeSet } from '../../../upstream/nodes/node-set.ts';
import type { NodeRoute } from '../../../upstream/nodes/route.ts';
import { KEPT_BYTES } from '../../body/request-body.ts';
import type { AnswerHead } from '../../http1/response-head.ts';
import { routeOf } from '../../node-route.ts';
import type { RelayExchange } from '../exchange.ts';
import type { SentHeads, UpstreamLink } from '../upstream.ts';
import type { PooledUpstream, UpstreamPool, UpstreamUser, WrittenHead } from '../upstream-pool.ts';

/** Connections of the nodes, each with a pool of its own. */
export interface NodePools {
  readonly nodes: NodeSet;
  readonly of: (node: Node) => UpstreamPool;
}

/** A request that is under way, with the parts of it that may have to be sent again. */
interface Sending {
  readonly exchange: RelayExchange;
  readonly heads: SentHeads;
  readonly route: NodeRoute;
  /** `undefined` = it is not kept any more. */
  body: Buffer[] | undefined;
  bodyBytes: number;
  /** The client has yet to send the rest of its body. */
  awaitsBody: boolean;
  /** The answer has begun, and has come whole. */
  heard: boolean;
  over: boolean;
}

/**
 * The way of one client's requests to several nodes, one request after the other: each has a node of its own, and another one
 * where it may be sent again.
 */
export class NodeLink implements UpstreamLink, UpstreamUser {
  readonly #pools: NodePools;
  readonly #user: UpstreamUser;
  #sending: Sending | undefined;
  #taken: { readonly pool: UpstreamPool; readonly one: PooledUpstream } | undefined;

  constructor(pools: NodePools, user: UpstreamUser) {
    this.#pools = pools;
    this.#user = user;
  }

  get exchange(): RelayExchange | undefined {
    return this.#user.exchange;
  }

  /** The answer head that was written last for the connection in use. */
  get written(): WrittenHead | undefined {
    return this.#taken?.one.written;
  }

  set written(head: WrittenHead | undefined) {
    if (this.#taken) this.#taken.one.written = head;
  }

  send(exchange: RelayExchange, heads: SentHeads, body: Buffer | undefined): boolean {
    // Within the answer to the request before, where the client has sent the next one already.
    this.end(this.#sending?.over ?? false);
    const route = routeOf(this.#pools.nodes, exchange);
    const kept = body ? [body] : [];
    const bodyBytes = body?.length ?? 0;
    this.#sending = { exchange, heads, route, body: kept, bodyBytes, awaitsBody: false, heard: false, over: false };
    return this.#begin(this.#sending, route.next());
  }

  write(body: Buffer, once = false): boolean {
    const sending = this.#sending;
    if (!sending || !this.#taken) return true;
    sending.awaitsBody = false;
    sending.body?.push(body);
    sending.bodyBytes += body.length;
    const more = this.#taken.one.link.write(body, once && sending.body === undefined);
    this.#forget(sending);
    return more;
  }

  waitForBody(): void {
    if (this.#sending) this.#sending.awaitsBody = true;
    this.#taken?.one.link.waitForBody();
  }

  pause(): void {
    this.#taken?.one.link.pause();
  }

  resume(): void {
    this.#taken?.one.link.resume();
  }

  hold(): boolean {
    return this.#taken?.one.link.hold() ?? false;
  }

  letGo(): void {
    this.#taken?.one.link.letGo();
  }

  /** A read that waits at a node that has been ejected goes on at another one. */
  look(): void {
    const sending = this.#sending;
    if (!sending?.body || sending.heard || !this.#taken || !sending.route.waitsInVain) return;
    this.#taken.one.link.destroy();
    this.onAnswerFault(UPSTREAM_TIMEOUT, true);
  }

  /** No request is under way any more. @param whole the last one was sent to its end; else its connection ends */
  end(whole: boolean): void {
    this.#sending?.route.end();
    this.#sending = undefined;
    this.#release(whole);
  }

  onAnswer(head: AnswerHead | undefined, parts: readonly Buffer[], data: number, ended: boolean): void {
    const sending = this.#sending;
    if (head && sending) {
      sending.heard = true;
      sending.body = undefined;
      sending.route.answered();
    }
    if (ended && sending) sending.over = true;
    this.#user.onAnswer(head, parts, data, ended);
    // The user may have ended it, and begun its next request.
    if (ended && sending === this.#sending) this.end(true);
  }

  onAnswerFault(denial: Denial, sent: boolean): void {
    const sending = this.#sending;
    const failure = sending && !sending.heard ? failureOf(denial) : undefined;
    this.#release(false);
    if (!sending || !failure) this.#failed(denial, sent);
    else if (!sending.body) {
      sending.route.lost(failure);
      this.#failed(denial, sent);
    } else {
      const awaits = sending.awaitsBody;
      const more = this.#begin(sending, sending.route.failed(failure, sent), denial);
      if (this.#sending !== sending) return;
      if (awaits) this.waitForBody();
      // The connection before took nothing, and this one may be open already: no drain of its own follows.
      else if (more) this.#user.onUpstreamDrain();
    }
  }

  onUpstreamDrain(): void {
    if (this.#sending) this.#forget(this.#sending);
    this.#user.onUpstreamDrain();
  }

  cut(): void {
    this.#user.cut();
  }

  /** @param fault of the node before; told where there is no other one */
  #begin(sending: Sending, next: Node | Denial, fault?: Denial): boolean {
    if ('kind' in next) {
      this.#failed(fault ?? next, false);
      return false;
    }
    const pool = this.#pools.of(next);
    const one = pool.take(this);
    this.#taken = { pool, one };
    const { body = [], bodyBytes, exchange, heads } = sending;
    const whole = body.length > 1 ? Buffer.concat(body, bodyBytes) : body[0];
    const more = one.link.send(exchange, heads, whole);
    this.#forget(sending);
    return more;
  }

  /** INVARIANT: the body of a request that may be sent again is kept, up to a bound; until its connection is there, all of it. */
  #forget(sending: Sending): void {
    if (!sending.body || !this.#taken?.one.link.isOpen) return;
    if (!sending.route.isRepeatable || sending.bodyBytes > KEPT_BYTES) sending.body = undefined;
  }

  #failed(denial: Denial, sent: boolean): void {
    this.end(false);
    this.#user.onAnswerFault(denial, sent);
  }

  #release(whole: boolean): void {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.pool.release(taken.one, whole);
  }
}

/** The failure of a node behind a denial; `undefined` = none of the node's. */
function failureOf({ code }: Denial): NodeFailure | undefined {
  switch (code) {
    case 'upstream_unreachable':
      return 'unreachable';
    case 'upstream_timeout':
      return 'timeout';
    case 'upstream_broken':
      return 'broken';
    default:
      return undefined;
  }
}
