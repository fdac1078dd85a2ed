import type { Socket } from 'node:net';
import { begin } from '../../exchange/steps.ts';
import type { FactsOfCollections } from '../../upstream/collection-facts.ts';
import type { BegunExchange } from '../begun-exchange.ts';
import { peerOn } from '../exchange.ts';
import type { LaneOptions } from '../options.ts';
import { restProtocol } from '../protocol.ts';
import { newRelayExchange } from '../relay/exchange.ts';
import { createRelayPool, type RelayNodes } from '../relay/nodes/pool.ts';
import { RELAY_STEPS } from '../relay/steps.ts';
import { takesRequest } from '../relay/takes.ts';
import type { RelayUpstream } from '../relay/upstream.ts';
import { createLiveResolver } from '../resolve.ts';
import { isHost, isPlainTarget } from '../server/head.ts';
import type { Http2Clock, ServedConnection } from './context.ts';
import type { PlainContext } from './plain-context.ts';
import { PlainRequest } from './plain-request.ts';
import type { Http2Head, KnownRequest } from './request-head.ts';
import type { Http2Stream } from './stream.ts';

/** Serves plain requests over HTTP/2. */
export interface PlainRequests {
  /** Begins the request of a stream. `false` = it is not plain, and nothing of it has begun. */
  readonly begin: (stream: Http2Stream, connection: ServedConnection) => boolean;
  /** Something was gathered for upstream. */
  readonly held: boolean;
  /** Writes it. */
  readonly flush: () => void;
  /** Looks after the time limits of upstream. @param now milliseconds */
  readonly tick: (now: number) => void;
  /** Upstream connections that carry a request. */
  readonly busy: () => number;
  readonly close: () => void;
}

export interface PlainRequestOptions {
  readonly options: LaneOptions;
  readonly clock: Http2Clock;
  readonly upstream: RelayUpstream | RelayNodes;
  readonly facts: FactsOfCollections;
  /** Gives a request to the server transport; see `PlainContext.takeOver`. */
  readonly takeOver: (stream: Http2Stream, socket: Socket, begun: BegunExchange, early: Buffer | undefined) => void;
}

/** Methods as in the byte relay. */
const METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']);

/** Opens nothing yet: upstream connections are made with the requests. */
export function createPlainRequests({ options, clock, upstream, facts, takeOver }: PlainRequestOptions): PlainRequests {
  const resolve = createLiveResolver(options.webUi);
  const pool = createRelayPool(upstream, { now: () => clock.now, framed: false, fault: options.parts.fault });
  const protocol = restProtocol(RELAY_STEPS, options);

  function known(head: Http2Head): KnownRequest {
    const webUi = options.webUi.present;
    if (head.known?.webUi === webUi) return head.known;
    const resolution = resolve(head.method, head.target);
    const plain = isPlain(head, options.limits.header_count) && takesRequest(head, resolution);
    head.known = { resolution, webUi, plain, sent: undefined, sentTo: '', credential: undefined, anew: undefined };
    return head.known;
  }

  return {
    begin(stream, { socket, memo, places }) {
      const { head } = stream;
      // Its length has to be known: upstream is told it with the head.
      if (!stream.endsWithHead && head.announced < 0) return false;
      const { plain, resolution } = known(head);
      if (!plain) return false;
      const context: PlainContext = {
        ...{ options, protocol, clock, pool, facts, places },
        takeOver: (taken, begun, early) => takeOver(taken, socket, begun, early),
      };
      const request = new PlainRequest(stream, memo, context);
      stream.use(request);
      const exchange = newRelayExchange(request, head, resolution, peerOn(socket));
      request.carry(exchange);
      begin(options.parts, protocol, exchange);
      return true;
    },
    get held() {
      return pool.held;
    },
    flush: () => pool.flush(),
    tick: (now) => pool.tick(now),
    busy: () => pool.busy,
    close: () => pool.close(),
  };
}

function isPlain({ method, target, headers, host, expects }: Http2Head, maxHeaders: number): boolean {
  if (!METHODS.has(method) || expects !== undefined || headers.length > maxHeaders * 2) return false;
  return isPlainTarget(target) && isHost(host);
}
