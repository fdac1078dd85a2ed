import type { ClientHttp2Session } from 'node:http2';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { Client } from '@grpc/grpc-js';
import { openHttp2 } from '../clients/sockets.ts';
import { message, rawClient, unary } from '../clients/unary.ts';
import type { TestGateway } from '../gateway.ts';

/**
 * The ways a request can come: REST over HTTP/1.1 and HTTP/2, gRPC; each on connections that stay open. Of REST every other request
 * is one for the server transport.
 */
const LANES = ['http1', 'http2', 'grpc'] as const;
type Lane = (typeof LANES)[number];

/** A gateway as clients reach it, in this process or another. */
type Reached = Pick<TestGateway, 'ca'> & {
  readonly rest: { readonly port: number };
  readonly grpc: { readonly port: number; readonly url: string };
};

/** What came of a load. */
export interface Tally {
  readonly served: Readonly<Record<Lane, number>>;
  /** Answers other than expected, and connections that broke: none where nothing is lost. */
  readonly wrong: readonly string[];
}

/** Requests one after the other on every lane, until it is stopped. */
export interface SteadyLoad {
  /** What clients present from their next request on. */
  present: (credential: string) => void;
  /** Resolves once every lane has been answered once more for what is presented now. */
  round: () => Promise<void>;
  stop: () => Promise<Tally>;
}

/** One request on an open connection. Says what is wrong, `undefined` = served as it should be. */
export type Ask = (credential: string) => Promise<string | undefined>;

/** Clients with connections of their own for every lane; close them. */
export async function openLanes(gateway: Reached): Promise<{
  readonly ask: Readonly<Record<Lane, Ask>>;
  readonly close: () => void;
}> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: gateway.ca });
  const session = await openHttp2(gateway.rest.port, gateway.ca);
  const client = rawClient(gateway);
  const turns = { http1: 0, http2: 0 };
  const headersOf = (lane: keyof typeof turns, credential: string): Record<string, string> => {
    turns[lane] += 1;
    return { 'api-key': credential, ...(turns[lane] % 2 === 0 && { 'content-encoding': 'identity' }) };
  };
  return {
    ask: {
      http1: (credential) => askHttp1(gateway, agent, headersOf('http1', credential)),
      http2: (credential) => askHttp2(session, headersOf('http2', credential)),
      grpc: (credential) => askGrpc(client, credential),
    },
    close: () => {
      agent.destroy();
      session.close();
      client.close();
    },
  };
}

function askHttp1(
  { rest }: Reached,
  agent: Agent,
  headers: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const options = { host: 'localhost', port: rest.port, agent, path: PATH, headers };
  const sent = request(options, (response) => {
    text(response).then(
      (body) => resolve(response.statusCode === 200 ? undefined : `${response.statusCode} ${body}`),
      (error: unknown) => resolve(String(error)),
    );
  });
  sent.on('error', (error) => resolve(String(error))).end();
  return promise;
}

async function askHttp2(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  try {
    const stream = session.request({ ':path': PATH, ...headers });
    const head = Promise.withResolvers<number | undefined>();
    stream.once('response', (headers) => head.resolve(headers[':status']));
    stream.once('error', head.reject);
    const [status, body] = await Promise.all([head.promise, text(stream)]);
    return status === 200 ? undefined : `${status} ${body}`;
  } catch (error) {
    return String(error);
  }
}

async function askGrpc(client: Client, credential: string): Promise<string | undefined> {
  const { code, message: said } = await unary(client, EXISTS, NAMED, { 'api-key': credential });
  return code === 0 ? undefined : `${code} ${said}`;
}

const PATH = '/collections/books/exists';
const EXISTS = '/qdrant.Collections/CollectionExists';
const NAMED = message({ 1: 'books' });

/** Milliseconds of a client between an answer and its next request: what is tested is that none is lost, not how many come. */
const PAUSE_MS = 3;

/** Starts it. @param perLane clients of each kind */
export async function startLoad(gateway: Reached, credential: string, perLane = 2): Promise<SteadyLoad> {
  let presented = credential;
  let running = true;
  const served = { http1: 0, http2: 0, grpc: 0 };
  const wrong: string[] = [];
  const waiting = new Set<() => void>();
  const clients = await Promise.all(Array.from({ length: perLane }, () => openLanes(gateway)));
  const rounds: number[] = [];

  const run = async (lane: Lane, ask: Ask, at: number): Promise<void> => {
    while (running) {
      const problem = await ask(presented);
      served[lane] += 1;
      rounds[at] = (rounds[at] ?? 0) + 1;
      if (problem !== undefined) wrong.push(`${lane}: ${problem}`);
      for (const look of waiting) look();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  const loops = clients.flatMap(({ ask }, client) =>
    LANES.map((lane, at) => {
      rounds[client * LANES.length + at] = 0;
      return run(lane, ask[lane], client * LANES.length + at);
    }),
  );

  return {
    present: (next) => {
      presented = next;
    },
    round: () => {
      // The first answer may still belong to a request that was under way.
      const goal = rounds.map((count) => count + 2);
      return new Promise((resolve) => {
        const look = (): void => {
          if (rounds.some((count, at) => count < (goal[at] ?? 0))) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
      });
    },
    stop: async () => {
      running = false;
      await Promise.all(loops);
      for (const { close } of clients) close();
      return { served, wrong };
    },
  };
}
