import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { Client } from '@grpc/grpc-js';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import type { TestGateway } from '../support/gateway.ts';

/** What a request must come to; `served` may also fail for want of an upstream while that is away. */
export type Verdict = 'served' | 'unauthenticated' | 'forbidden';

/** One kind of request, and what it must come to now. */
export interface Kind {
  readonly name: string;
  readonly protocol: 'rest' | 'grpc';
  /** REST: method and path; gRPC: method path and message. */
  readonly rest?: { readonly method: string; readonly path: string; readonly body?: string };
  readonly grpc?: { readonly path: string; readonly message: Uint8Array };
  /** Asked anew for each request. `undefined` = none. */
  readonly credential: () => string | undefined;
  readonly expected: Verdict;
}

/** What a load has seen so far. */
export interface Seen {
  /** Ids of the requests that were answered, each of which is one line of the audit. */
  readonly answered: Set<string>;
  /** Ids of requests whose connection ended before there was an answer: they may have been decided, or not. */
  readonly lost: Set<string>;
  readonly wrong: string[];
  /** Permitted requests that found no upstream. */
  unreachable: number;
  served: number;
  refused: number;
}

/** Sends requests of all kinds in turn from several clients until told to stop. */
export interface Load {
  readonly seen: Seen;
  /** Resolves once the last answer is there. */
  readonly stop: () => Promise<void>;
}

const REST_VERDICTS: Readonly<Record<number, Verdict | 'unreachable'>> = {
  200: 'served',
  // Upstream's own words, while it is filled again: the request was forwarded.
  404: 'served',
  401: 'unauthenticated',
  403: 'forbidden',
  502: 'unreachable',
  503: 'unreachable',
  504: 'unreachable',
};
const GRPC_VERDICTS: Readonly<Record<number, Verdict | 'unreachable'>> = {
  0: 'served',
  5: 'served',
  16: 'unauthenticated',
  7: 'forbidden',
  14: 'unreachable',
  4: 'unreachable',
};

/**
 * @param clients that send at the same time, per protocol, each one request after the other
 * @param pauseMs of a client between an answer and its next request
 */
export function startLoad(gateway: TestGateway, kinds: readonly Kind[], clients: number, pauseMs: number): Load {
  const seen: Seen = { answered: new Set(), lost: new Set(), wrong: [], unreachable: 0, served: 0, refused: 0 };
  const state = { stopped: false, pauseMs };
  const agent = new Agent({ keepAlive: true, maxSockets: clients, ca: gateway.ca });
  const loops = (['rest', 'grpc'] as const).flatMap((protocol) => {
    const mine = kinds.filter((kind) => kind.protocol === protocol);
    return Array.from({ length: clients }, (_, index) => loop(gateway, agent, mine, index, seen, state));
  });
  return {
    seen,
    stop: async () => {
      state.stopped = true;
      await Promise.all(loops);
      agent.destroy();
    },
  };
}

async function loop(
  gateway: TestGateway,
  agent: Agent,
  kinds: readonly Kind[],
  index: number,
  seen: Seen,
  state: { readonly stopped: boolean; readonly pauseMs: number },
): Promise<void> {
  const client = rawClient(gateway, { 'grpc.use_local_subchannel_pool': 1 });
  for (let turn = index; !state.stopped; turn += 1) {
    const kind = kinds[turn % kinds.length];
    if (!kind) break;
    await once(gateway, agent, client, kind, seen);
    if (state.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, state.pauseMs));
  }
  client.close();
}

async function once(gateway: TestGateway, agent: Agent, client: Client, kind: Kind, seen: Seen): Promise<void> {
  const id = randomUUID();
  const credential = kind.credential();
  const headers = { 'x-request-id': id, ...(credential === undefined ? {} : { 'api-key': credential }) };
  const outcome = kind.rest
    ? await askRest(gateway, agent, kind.rest, headers)
    : await askGrpc(client, kind.grpc ?? { path: '/', message: message({}) }, headers);
  if (outcome === 'lost') {
    seen.lost.add(id);
    return;
  }
  seen.answered.add(id);
  if (outcome === 'unreachable' && kind.expected === 'served') seen.unreachable += 1;
  else if (outcome !== kind.expected) seen.wrong.push(`${kind.name}: expected ${kind.expected}, was ${outcome}`);
  else if (outcome === 'served') seen.served += 1;
  else seen.refused += 1;
}

type Outcome = Verdict | 'unreachable' | 'lost' | `status ${string}`;

function askRest(
  gateway: TestGateway,
  agent: Agent,
  { method, path, body }: { method: string; path: string; body?: string },
  headers: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const type = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': `${body.length}` };
  const options = { host: 'localhost', port: gateway.rest.port, agent, method, path, headers: { ...headers, ...type } };
  request(options, (response) => {
    const { statusCode = 0 } = response;
    text(response).then(
      () => resolve(REST_VERDICTS[statusCode] ?? `status ${statusCode}`),
      () => resolve('lost'),
    );
  })
    .on('error', () => resolve('lost'))
    .end(body);
  return promise;
}

async function askGrpc(
  client: Client,
  { path, message: sent }: { path: string; message: Uint8Array },
  headers: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const { code, message: said } = await unary(client, path, sent, headers);
  // The library's own word for a connection that ended: no answer of the gateway's.
  if (code === 14 && !/upstream|gateway/.test(said ?? '')) return 'lost';
  return GRPC_VERDICTS[code ?? -1] ?? `status ${code}`;
}
