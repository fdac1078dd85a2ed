import type { FakeQdrant, FakeQdrantOptions } from '../fake-qdrant/main.ts';
import { type RunningGateway, startGateway, type TestGatewayOptions } from '../gateway.ts';
import { Http1Link } from './http1-link.ts';
import { Http2Link } from './http2-link.ts';
import type { HeardAnswer, SentRequest } from './request.ts';

/**
 * The ways of a REST request through the gateway. `relay` and `plain`: a plain request passes as bytes, any other is handed
 * over. `server`: the server transport takes every request.
 */
export const TRANSPORTS = ['HTTP/1.1 relay', 'HTTP/1.1 server', 'HTTP/2 plain', 'HTTP/2 server'] as const;
export type TransportName = (typeof TRANSPORTS)[number];

/** Sends requests one way, on kept connections. */
export interface Transport {
  readonly name: TransportName;
  readonly send: (request: SentRequest) => Promise<HeardAnswer>;
  readonly close: () => void;
}

/** Two gateways alike before one upstream: one relays plain requests, the other does not. */
export interface Transports {
  readonly upstream: FakeQdrant;
  readonly relaying: RunningGateway;
  readonly serving: RunningGateway;
  /** In the order of `TRANSPORTS`. */
  readonly all: readonly Transport[];
  readonly close: () => Promise<void>;
}

/** An upstream that says yes to what would change it, and stays as it is: the same request meets the same on each transport. */
export const UNCHANGED: FakeQdrantOptions = {
  onRest: (request, response) => {
    if (request.method === 'GET' || request.method === 'HEAD') return false;
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.once('end', () => response.writeHead(200, JSON_TYPE).end(JSON.stringify({ result: bytes, status: 'ok' })));
    return true;
  },
};
const JSON_TYPE = { 'content-type': 'application/json' };

export async function openTransports(options: TestGatewayOptions = {}): Promise<Transports> {
  const settingsOf = (relay: boolean) => ({ ...options.settings, 'gateway.rest.relay': relay });
  const relaying = await startGateway({ ...options, settings: settingsOf(true) });
  const serving = await startGateway({ ...options, settings: settingsOf(false), before: relaying.upstream });
  const all = [
    http1Transport('HTTP/1.1 relay', relaying),
    http1Transport('HTTP/1.1 server', serving),
    http2Transport('HTTP/2 plain', relaying),
    http2Transport('HTTP/2 server', serving),
  ];
  return {
    ...{ upstream: relaying.upstream, relaying, serving, all },
    close: async () => {
      for (const transport of all) transport.close();
      await serving.close();
      await relaying.close();
    },
  };
}

/** A connection for each request that is under way at once. */
function http1Transport(name: TransportName, gateway: RunningGateway): Transport {
  const idle: Http1Link[] = [];
  const links = new Set<Http1Link>();
  const take = async (): Promise<Http1Link> => {
    for (let link = idle.pop(); link; link = idle.pop()) if (!link.ended) return link;
    const opened = await Http1Link.open(gateway.rest.port, gateway.ca);
    links.add(opened);
    return opened;
  };
  return {
    name,
    send: async (request) => {
      const link = await take();
      const answer = await link.send(request);
      if (!link.ended) idle.push(link);
      else links.delete(link);
      return answer;
    },
    close: () => {
      for (const link of links) link.close();
    },
  };
}

/** All requests on one connection. */
function http2Transport(name: TransportName, gateway: RunningGateway): Transport {
  const open = () => Http2Link.open(gateway.rest.port, gateway.ca);
  let link: Promise<Http2Link> | undefined;
  return {
    name,
    send: async (request) => {
      if (!link || (await link).ended) link = open();
      return (await link).send(request);
    },
    close: () => void link?.then((opened) => opened.close()),
  };
}
