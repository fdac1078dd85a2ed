import { gzipSync } from 'node:zlib';
import type { Setting } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { framed } from '../support/clients/h2-client.ts';
import { nextTurn } from '../support/later.ts';
import { type Arena, checkFaults, checkGone, openArena, within } from './frame-arena.ts';
import {
  bodyFrames,
  type FrameScript,
  headFrames,
  isMutated,
  makeFrameScript,
  PONG,
  playFrames,
  type Step,
  simplerFrames,
} from './frame-scripts.ts';
import type { Choices, Fuzzer, FuzzSession } from './harness.ts';
import { ANSWERS, KeptUpstream } from './kept-upstream.ts';

interface Script extends FrameScript {
  /** Settings of upstream's. */
  readonly upstream: readonly Setting[];
}

const DOCS = Buffer.from('0a04646f6373', 'hex');
const OTHER = Buffer.from('0a056f74686572', 'hex');

/** Calls by what becomes of them; `sent`: they may be seen upstream. */
const CALLS: readonly (readonly [weight: number, path: string, key: string, message: Buffer, sent: boolean])[] = [
  [6, '/qdrant.Points/Count', 'admin', DOCS, true],
  [3, '/qdrant.Points/Count', 'slow', DOCS, true],
  [5, '/qdrant.Points/Query', 'scoped', DOCS, true],
  [3, '/qdrant.Points/Query', 'scoped', OTHER, false],
  [3, '/qdrant.Points/Upsert', 'scoped', Buffer.concat([DOCS, Buffer.from('1a80')]), false],
  [3, '/qdrant.Points/Count', 'nobody', DOCS, false],
  [3, '/qdrant.Collections/List', 'scoped', Buffer.alloc(0), false],
  [1, '/qdrant.Collections/ListAliases', 'scoped', Buffer.alloc(0), false],
  [3, '/qdrant.Qdrant/HealthCheck', 'nobody', Buffer.alloc(0), false],
  [1, '/qdrant.Internal/None', 'admin', DOCS, true],
  [1, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', 'scoped', Buffer.from('3a0161', 'hex'), true],
];

/** One call as frames, from its head to its end; some stop in the middle. */
function callFrames(choices: Choices, id: number): Step[] {
  const [, path, key, message, sent] = choices.weighted(CALLS.map((call) => [call[0], call] as const));
  const answer = `${choices.of(ANSWERS)}-${choices.weighted([
    [6, choices.below(200)],
    [2, choices.below(70_000)],
    [1, 200_000],
  ])}`;
  const gzip = choices.chance(0.15);
  const fields: HeaderField[] = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ['x-n', sent ? 'yes' : 'no'],
    ['x-u', answer],
    ['api-key', key],
  ];
  if (gzip) fields.push(['grpc-encoding', 'gzip']);
  let body = gzip ? framed(gzipSync(message), 1) : framed(message);
  // A second message, or one that is cut short, is refused where it is read.
  if (sent && key !== 'scoped' && choices.chance(0.1)) body = Buffer.concat([body, body]);
  if (sent && key !== 'scoped' && choices.chance(0.1))
    body = Buffer.concat([body, Buffer.alloc(choices.below(30_000))]);
  const bare = choices.chance(0.05);
  const steps = headFrames(choices, id, encodeHeaders(fields), bare);
  if (!bare) steps.push(...bodyFrames(choices, id, body));
  return steps.slice(0, choices.chance(0.1) ? choices.between(1, steps.length) : steps.length);
}

function make(choices: Choices): Script {
  const script = makeFrameScript(choices, callFrames);
  const upstream = choices.chance(0.5) ? [] : ([[4, choices.of([0, 100, 65_535, 1_000_000])]] as const);
  return { ...script, upstream };
}

function* simpler(script: Script): Generator<Script> {
  yield* simplerFrames(script);
  if (script.upstream.length > 0) yield { ...script, upstream: [] };
}

/** A fresh connection is tried after so many scripts. */
const SERVES_EVERY = 16;

class Session implements FuzzSession<Script> {
  readonly #arena: Arena;
  readonly #state: { wrong: string | undefined; settings: readonly Setting[] };
  #ran = 0;

  constructor(arena: Arena, state: { wrong: string | undefined; settings: readonly Setting[] }) {
    this.#arena = arena;
    this.#state = state;
  }

  async run(script: Script): Promise<void> {
    const arena = this.#arena;
    const before = arena.recorded;
    this.#state.settings = script.upstream;
    this.#state.wrong = undefined;
    arena.ahead = 0;
    const { client, relay } = await arena.join();
    const tick = (ms: number): void => {
      arena.ahead += ms;
      relay.tick(Date.now() + arena.ahead);
    };
    await playFrames(script, { client, tick, drain: () => relay.drain(), destroy: () => relay.destroy() }, []);
    const reads = !client.socket.isPaused();
    if (reads) {
      const pongs = client.pongs;
      client.send(PONG);
      // A frame that was changed may have eaten the PING, and with it its answer.
      if (isMutated(script)) for (let turns = 0; turns < 5; turns += 1) await nextTurn();
      else
        await within('the client is answered', () => client.pongs > pongs || client.over || client.wrong !== undefined);
    }
    if (script.end === 'reset') client.socket.resetAndDestroy();
    else if (script.end === 'destroy') client.socket.destroy();
    else client.socket.end();
    await within('the connection is gone', () => arena.open === 0).catch((error: unknown) => {
      client.socket.destroy();
      throw error;
    });
    client.socket.destroy();
    checkFaults(arena, client);
    if (this.#state.wrong !== undefined) throw new Error(`upstream: ${this.#state.wrong}`);
    checkGone(relay, before, arena);
    this.#ran += 1;
    if (this.#ran % SERVES_EVERY === 0) await this.rest();
  }

  async rest(): Promise<void> {
    this.#state.settings = [];
    await this.#arena.serves();
    await this.#arena.untilGone();
  }

  close(): Promise<void> {
    return this.#arena.close();
  }
}

export const fuzzer = clientFrames('client-frames', 'frames of a gRPC client in every order, size and cut', 0);

/** @param nodes behind the gateway; 0 = one upstream without a list */
export function clientFrames(name: string, about: string, nodes: number): Fuzzer<Script> {
  return { name, about, make, simpler, open: () => open(nodes) };
}

async function open(nodes: number): Promise<Session> {
  const state: { wrong: string | undefined; settings: readonly Setting[] } = { wrong: undefined, settings: [] };
  const wrong = (what: string): void => {
    state.wrong ??= what;
  };
  const call = (fields: ReadonlyMap<string, string>): void => {
    if (fields.get('x-n') === 'no') wrong(`a call that is not permitted: ${[...fields].join(' ')}`);
  };
  const arena = await openArena((socket) => new KeptUpstream(socket, { wrong, call }, state.settings), nodes);
  return new Session(arena, state);
}
