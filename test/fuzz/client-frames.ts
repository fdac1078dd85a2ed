import { gzipSync } from 'node:zlib';
import { CLIENT_PREFACE, Flag, type Setting } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeFrameHeader, writePing, writeSettings } from '../../src/http2/write-frames.ts';
import { framed } from '../support/clients/h2-client.ts';
import { nextTurn } from '../support/later.ts';
import { type Arena, checkFaults, checkGone, openArena, within } from './frame-arena.ts';
import { type Choices, type Fuzzer, type FuzzSession, fewer } from './harness.ts';
import { ANSWERS, KeptUpstream } from './kept-upstream.ts';

/** A frame of the client's as hexadecimal digits, or something that happens to the connection. */
type Step =
  | { readonly what: string; readonly frame: string }
  | { readonly tick: number }
  | { readonly act: 'drain' | 'destroy' | 'wait' | 'stop reading' };

interface Script {
  /** Bytes of the segments that frames are sent in, in turn; 0 = a segment for each frame, and -1 = all in one. */
  readonly cuts: readonly number[];
  readonly steps: readonly Step[];
  /** How the client leaves. */
  readonly end: 'fin' | 'reset' | 'destroy';
  /** Settings of upstream's. */
  readonly upstream: readonly Setting[];
}

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  writeFrameHeader(bytes, 0, payload.length, type, flags, streamId);
  payload.copy(bytes, 9);
  return bytes;
}

const number32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

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

/** Values at which windows and sizes change their meaning. */
const EDGES = [
  0, 1, 2, 100, 1000, 4096, 16_384, 65_535, 65_536, 1_000_000, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
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

function headFrames(choices: Choices, id: number, plain: Buffer, ends: boolean): Step[] {
  const block = choices.chance(0.2) ? Buffer.concat([plain, Buffer.from('40017a017a', 'hex')]) : plain;
  const last = ends ? Flag.END_STREAM : 0;
  const form = choices.below(10);
  if (form === 0) {
    const at = choices.below(block.length);
    return [
      { what: `headers ${id}`, frame: frame(1, last, id, block.subarray(0, at)).toString('hex') },
      { what: `continuation ${id}`, frame: frame(9, Flag.END_HEADERS, id, block.subarray(at)).toString('hex') },
    ];
  }
  if (form === 1) {
    const padding = choices.below(50);
    const padded = Buffer.concat([Buffer.from([padding]), number32(0), Buffer.from([5]), block, Buffer.alloc(padding)]);
    const flags = last | Flag.END_HEADERS | Flag.PADDED | Flag.PRIORITY;
    return [{ what: `headers ${id}`, frame: frame(1, flags, id, padded).toString('hex') }];
  }
  return [{ what: `headers ${id}`, frame: frame(1, last | Flag.END_HEADERS, id, block).toString('hex') }];
}

function bodyFrames(choices: Choices, id: number, body: Buffer): Step[] {
  const pieces = choices.weighted([
    [6, 1],
    [3, choices.between(2, 4)],
  ]);
  const steps: Step[] = [];
  const trailers = choices.chance(0.05);
  const size = Math.max(1, Math.ceil(body.length / pieces));
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    const last = at + size >= body.length && !trailers ? Flag.END_STREAM : 0;
    if (choices.chance(0.1)) {
      const padding = choices.below(30);
      const padded = Buffer.concat([Buffer.from([padding]), part, Buffer.alloc(padding)]);
      steps.push({ what: `data ${id}`, frame: frame(0, last | Flag.PADDED, id, padded).toString('hex') });
    } else steps.push({ what: `data ${id}`, frame: frame(0, last, id, part).toString('hex') });
    if (last !== 0 && choices.chance(0.1))
      steps.push({ what: `data ${id}`, frame: frame(0, 1, id, part).toString('hex') });
  }
  if (trailers) {
    const block = encodeHeaders([['x-t', '1']]);
    steps.push({ what: `trailers ${id}`, frame: frame(1, 5, id, block).toString('hex') });
  }
  return steps;
}

/** A frame beside the calls. `most`: the highest stream. */
function otherFrame(choices: Choices, most: number): Step {
  const id = choices.chance(0.1) ? choices.below(60) : 1 + 2 * choices.below((most + 1) / 2);
  const grant = choices.weighted([
    [3, choices.between(1, 70_000)],
    [1, choices.of(EDGES)],
  ]);
  const kind = choices.weighted([
    [8, () => frame(8, 0, 0, number32(grant))],
    [6, () => frame(8, 0, id, number32(grant))],
    [3, () => frame(3, 0, id, number32(choices.below(14)))],
    [4, () => writeSettings(settingsOf(choices))],
    [2, () => writePing(choices.bytes(8), choices.chance(0.2))],
    [1, () => frame(2, 0, id, Buffer.concat([number32(choices.below(9)), Buffer.from([1])]))],
    [1, () => frame(4, Flag.ACK, 0, Buffer.alloc(0))],
    [1, () => frame(7, 0, 0, Buffer.concat([number32(0), number32(choices.below(3))]))],
    [1, () => frame(choices.between(10, 255), choices.below(256), choices.below(9), choices.bytes(choices.below(20)))],
    [2, () => frame(0, choices.below(2), id, choices.bytes(choices.below(40)))],
    [1, () => frame(0, choices.below(2), id, Buffer.alloc(choices.below(16_385)))],
    [1, () => frame(1, 4 | choices.below(2), id, choices.bytes(choices.below(20)))],
    [1, () => frame(choices.below(10), choices.below(64), choices.below(9), choices.bytes(choices.below(12)))],
  ])();
  return { what: `other ${kind[3]}`, frame: kind.toString('hex') };
}

function settingsOf(choices: Choices): Setting[] {
  return Array.from({ length: choices.between(0, 3) }, (): Setting => {
    const id = choices.weighted([
      [5, 1],
      [5, 4],
      [1, choices.between(0, 12)],
    ]);
    const value = choices.chance(0.8) ? choices.below(70_000) : choices.of(EDGES);
    return [id, id === 2 ? value % 2 : id === 5 ? Math.min(0xff_ffff, 16_384 + value) : value];
  });
}

/** Lists of steps dealt into one, each in its own order. */
function interleave(choices: Choices, lists: Step[][]): Step[] {
  const steps: Step[] = [];
  const left = lists.map((list) => [...list]);
  const inOrder = choices.chance(0.4);
  // Heads must come in the order of their streams.
  let next = 1;
  const open = left.slice(0, 1);
  while (open.length > 0) {
    const list = inOrder ? open[0] : choices.of(open);
    const step = list?.shift();
    if (step) steps.push(step);
    if (list && list.length === 0) open.splice(open.indexOf(list), 1);
    const more = left[next];
    const midBlock = step && 'what' in step && step.what.startsWith('headers') && list?.[0] && isContinuation(list[0]);
    if (midBlock) {
      const rest = list.shift();
      if (rest) steps.push(rest);
    }
    if (more && (open.length === 0 || choices.chance(0.5))) {
      open.push(more);
      next += 1;
    }
  }
  return steps;
}

function isContinuation(step: Step): boolean {
  return 'what' in step && step.what.startsWith('continuation');
}

function make(choices: Choices): Script {
  const calls = choices.weighted([
    [6, choices.between(1, 4)],
    [1, choices.between(5, 30)],
  ]);
  const most = 2 * calls - 1;
  const lists = Array.from({ length: calls }, (_, at) => callFrames(choices, 2 * at + 1));
  const steps = interleave(choices, lists);
  const others = choices.below(10);
  for (let i = 0; i < others; i += 1) {
    const at = choices.below(steps.length + 1);
    const before = steps[at];
    if (before && isContinuation(before) && choices.chance(0.95)) continue;
    const step = otherFrame(choices, most);
    steps.splice(at, 0, ...Array(choices.chance(0.03) ? choices.between(10, 600) : 1).fill(step));
  }
  const acts = choices.chance(0.3) ? choices.between(1, 3) : 0;
  for (let i = 0; i < acts; i += 1) {
    const act = choices.weighted<Step>([
      [5, { act: 'wait' }],
      [2, { tick: choices.of([0, 1100, 6000, 31_000, 61_000, 3_600_000]) }],
      [1, { act: 'drain' }],
      [1, { act: 'destroy' }],
      [1, { act: 'stop reading' }],
    ]);
    steps.splice(choices.below(steps.length + 1), 0, act);
  }
  if (choices.chance(0.1)) mutate(choices, steps);
  const cuts = choices.weighted<readonly number[]>([
    [4, [-1]],
    [3, [0]],
    [3, Array.from({ length: choices.between(1, 4) }, () => choices.between(1, 300))],
    [1, [16_384]],
  ]);
  const end = choices.of(['fin', 'reset', 'destroy'] as const);
  const upstream = choices.chance(0.5) ? [] : ([[4, choices.of([0, 100, 65_535, 1_000_000])]] as const);
  return { cuts, steps, end, upstream };
}

/** One bit of one frame is another. */
function mutate(choices: Choices, steps: Step[]): void {
  const at = choices.below(steps.length);
  const step = steps[at];
  if (!step || !('frame' in step)) return;
  const bytes = Buffer.from(step.frame, 'hex');
  const byte = choices.below(Math.min(bytes.length, 40));
  bytes[byte] = (bytes[byte] ?? 0) ^ (1 << choices.below(8));
  steps[at] = { what: `${step.what} with another bit`, frame: bytes.toString('hex') };
}

function* simpler(script: Script): Generator<Script> {
  for (const steps of fewer(script.steps)) yield { ...script, steps };
  if (script.cuts[0] !== -1) yield { ...script, cuts: [-1] };
  if (script.cuts[0] !== 0) yield { ...script, cuts: [0] };
  if (script.upstream.length > 0) yield { ...script, upstream: [] };
}

const PONG = writePing(Buffer.from('the end.'), false);
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
    const isMutated = script.steps.some((step) => 'what' in step && step.what.includes('another bit'));
    client.send(Buffer.concat([CLIENT_PREFACE, writeSettings([])]));
    let pending: Buffer[] = [];
    for (const step of [...script.steps, { act: 'wait' } as const]) {
      if ('frame' in step) {
        pending.push(Buffer.from(step.frame, 'hex'));
        continue;
      }
      client.betweenFrames = false;
      await send(client, pending, script.cuts);
      client.betweenFrames = true;
      pending = [];
      if ('tick' in step) {
        arena.ahead += step.tick;
        relay.tick(Date.now() + arena.ahead);
      } else if (step.act === 'drain') relay.drain();
      else if (step.act === 'destroy') relay.destroy();
      else if (step.act === 'stop reading') client.socket.pause();
      else await nextTurn();
    }
    const reads = !client.socket.isPaused();
    if (reads) {
      const pongs = client.pongs;
      client.send(PONG);
      // A frame that was changed may have eaten the PING, and with it its answer.
      if (isMutated) for (let turns = 0; turns < 5; turns += 1) await nextTurn();
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

type Sends = { send(bytes: Buffer): void };

/** Sends frames in the segments that `cuts` says. */
async function send(client: Sends, frames: readonly Buffer[], cuts: readonly number[]): Promise<void> {
  if (frames.length === 0) return;
  if (cuts[0] === 0 && frames.length < 100) {
    for (const bytes of frames) {
      client.send(bytes);
      await nextTurn();
    }
    return;
  }
  const all = Buffer.concat(frames);
  const isCut = (cuts[0] ?? 0) > 0 && all.length < 6000;
  for (let at = 0, next = 0; at < all.length; next += 1) {
    const size = isCut ? (cuts[next % cuts.length] ?? all.length) : all.length;
    client.send(all.subarray(at, at + size));
    at += size;
    await nextTurn();
  }
}

export const fuzzer: Fuzzer<Script> = {
  name: 'client-frames',
  about: 'frames of a gRPC client in every order, size and cut',
  make,
  simpler,
  async open() {
    const state: { wrong: string | undefined; settings: readonly Setting[] } = { wrong: undefined, settings: [] };
    const wrong = (what: string): void => {
      state.wrong ??= what;
    };
    const call = (fields: ReadonlyMap<string, string>): void => {
      if (fields.get('x-n') === 'no') wrong(`a call that is not permitted: ${[...fields].join(' ')}`);
    };
    const arena = await openArena((socket) => new KeptUpstream(socket, { wrong, call }, state.settings));
    return new Session(arena, state);
  },
};
