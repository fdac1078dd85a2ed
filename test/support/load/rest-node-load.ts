import { once } from 'node:events';
import { connect } from 'node:http2';
import { text } from 'node:stream/consumers';
import { restClient, trust } from '../clients/official.ts';
import { KEYS } from '../gateway.ts';
import type { NodeScene } from './node-load.ts';

/** One request of a load: the number that comes back, or the status of a refusal. Rejects for a lost connection. */
export type Call = (call: number, isWrite: boolean) => Promise<{ readonly status: number; readonly answer: number }>;

/** A client of a load. */
export interface LoadClient {
  readonly call: Call;
  readonly close: () => void;
}

/** The results of a load, by status; 0 = the connection or the request was lost. */
export interface RestLoadResult {
  readonly reads: Map<number, number>;
  readonly writes: Map<number, number>;
  /** Answers that are not those of their requests. */
  wrong: number;
  /** Writes that ended well. */
  readonly written: number[];
  /** Milliseconds of each read that ended well. */
  readonly took: number[];
}

const countOf = (call: number) => ({ exact: true, filter: { must: [{ has_id: [call] }] } });
const pointsOf = (call: number) => ({ points: [{ id: call, vector: [0.5, 0.5] }] });

/** The official client for JavaScript, over HTTP/1.1. */
export function officialClient({ gateway }: Pick<NodeScene, 'gateway'>): LoadClient {
  trust(gateway.ca);
  const client = restClient(gateway, KEYS.admin);
  const ok = 200;
  return {
    async call(call, isWrite) {
      try {
        if (isWrite) {
          const { operation_id: answer } = await client.upsert('docs', pointsOf(call));
          return { status: ok, answer: answer ?? -1 };
        }
        // The first number of the body is the id.
        const { count } = await client.count('docs', { filter: countOf(call).filter, exact: true });
        return { status: ok, answer: count };
      } catch (error) {
        if (error instanceof Error && 'status' in error) return { status: Number(error.status), answer: -1 };
        throw error;
      }
    },
    close: () => undefined,
  };
}

/** All requests as streams of one HTTP/2 connection. */
export function http2Client({ gateway }: Pick<NodeScene, 'gateway'>): LoadClient {
  const session = connect(`https://127.0.0.1:${gateway.rest.port}`, { ca: gateway.ca, servername: 'localhost' });
  session.on('error', () => undefined);
  return {
    async call(call, isWrite) {
      const body = JSON.stringify(isWrite ? pointsOf(call) : countOf(call));
      const stream = session.request({
        ':method': isWrite ? 'PUT' : 'POST',
        ':path': isWrite ? '/collections/docs/points' : '/collections/docs/points/count',
        'api-key': KEYS.admin,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      });
      stream.end(body);
      const [head] = (await once(stream, 'response')) as [{ ':status'?: number }];
      const status = head[':status'] ?? 0;
      const said = await text(stream);
      if (status !== 200) return { status, answer: -1 };
      const { result } = JSON.parse(said) as { result: { count?: number; operation_id?: number } };
      return { status, answer: result.count ?? result.operation_id ?? -1 };
    },
    close: () => session.destroy(),
  };
}

/** Number of calls so far, so that each has a number of its own. */
let calls = 100;

/** So many requests at a time while `act` goes on, reads and writes in turn. */
export async function loadRest(client: LoadClient, loops: number, act: () => Promise<void>): Promise<RestLoadResult> {
  const result: RestLoadResult = { reads: new Map(), writes: new Map(), wrong: 0, written: [], took: [] };
  let over = false;
  const loop = async (): Promise<void> => {
    while (!over) {
      calls += 1;
      await one(client, calls, calls % 2 === 1, result);
    }
  };
  const running = Array.from({ length: loops }, loop);
  await act();
  over = true;
  await Promise.all(running);
  return result;
}

async function one({ call }: LoadClient, number: number, isWrite: boolean, result: RestLoadResult): Promise<void> {
  const began = performance.now();
  const { status, answer } = await call(number, isWrite).catch(() => ({ status: 0, answer: -1 }));
  const statuses = isWrite ? result.writes : result.reads;
  statuses.set(status, (statuses.get(status) ?? 0) + 1);
  if (status !== 200) return;
  if (answer !== number) result.wrong += 1;
  if (isWrite) result.written.push(number);
  else result.took.push(performance.now() - began);
}
