import { CLIENT_PREFACE, Flag, type Setting } from '../../src/http2/frames.ts';
import { encodeHeaders } from '../../src/http2/hpack.ts';
import { writeFrameHeader, writePing, writeSettings } from '../../src/http2/write-frames.ts';
import { nextTurn } from '../support/later.ts';
import { type Choices, fewer } from './harness.ts';

/*
 * Scripts of what a client does on an HTTP/2 connection: what the fuzzers of both protocols have in common.
 */

/** A body, or the rest of one, that is sent as the gateway grants it. */
export interface Upload {
  /** Its stream. */
  readonly upload: number;
  readonly bytes: number;
  /** Most bytes of a DATA frame. */
  readonly frame: number;
}

/** A frame of the client's as hexadecimal digits, or something that happens to the connection. */
export type Step =
  | { readonly what: string; readonly frame: string }
  | { readonly tick: number }
  | Upload
  | { readonly act: 'drain' | 'destroy' | 'wait' | 'stop reading' };

export interface FrameScript {
  /** Bytes of the segments that frames are sent in, in turn; 0 = a segment for each frame, and -1 = all in one. */
  readonly cuts: readonly number[];
  readonly steps: readonly Step[];
  /** How the client leaves. */
  readonly end: 'fin' | 'reset' | 'destroy';
}

export function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  writeFrameHeader(bytes, 0, payload.length, type, flags, streamId);
  payload.copy(bytes, 9);
  return bytes;
}

export const number32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/** Values at which windows and sizes change their meaning. */
export const EDGES = [
  0, 1, 2, 100, 1000, 4096, 16_384, 65_535, 65_536, 1_000_000, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
];

export function headFrames(choices: Choices, id: number, plain: Buffer, ends: boolean): Step[] {
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

export function bodyFrames(choices: Choices, id: number, body: Buffer): Step[] {
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

/** @param requestFrames the steps of one request */
export function makeFrameScript(
  choices: Choices,
  requestFrames: (choices: Choices, id: number) => Step[],
): FrameScript {
  const requests = choices.weighted([
    [6, choices.between(1, 4)],
    [1, choices.between(5, 30)],
  ]);
  const steps = interleave(
    choices,
    Array.from({ length: requests }, (_, at) => requestFrames(choices, 2 * at + 1)),
  );
  addOthers(choices, steps, 2 * requests - 1);
  addActs(choices, steps);
  if (choices.chance(0.1)) mutate(choices, steps);
  return { cuts: cutsOf(choices), steps, end: choices.of(['fin', 'reset', 'destroy'] as const) };
}

function addOthers(choices: Choices, steps: Step[], most: number): void {
  const others = choices.below(10);
  for (let i = 0; i < others; i += 1) {
    const at = choices.below(steps.length + 1);
    const before = steps[at];
    if (before && isContinuation(before) && choices.chance(0.95)) continue;
    const step = otherFrame(choices, most);
    steps.splice(at, 0, ...Array(choices.chance(0.03) ? choices.between(10, 600) : 1).fill(step));
  }
}

function addActs(choices: Choices, steps: Step[]): void {
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
}

function cutsOf(choices: Choices): readonly number[] {
  return choices.weighted<readonly number[]>([
    [4, [-1]],
    [3, [0]],
    [3, Array.from({ length: choices.between(1, 4) }, () => choices.between(1, 300))],
    [1, [16_384]],
  ]);
}

/** One bit of one frame is another. */
function mutate(choices: Choices, steps: Step[]): void {
  const at = choices.below(steps.length);
  const step = steps[at];
  if (!step || !('what' in step)) return;
  const bytes = Buffer.from(step.frame, 'hex');
  const byte = choices.below(Math.min(bytes.length, 40));
  bytes[byte] = (bytes[byte] ?? 0) ^ (1 << choices.below(8));
  steps[at] = { what: `${step.what} with another bit`, frame: bytes.toString('hex') };
}

/** A frame of it was changed, and may be any other. */
export function isMutated({ steps }: FrameScript): boolean {
  return steps.some((step) => 'what' in step && step.what.includes('another bit'));
}

export function* simplerFrames<S extends FrameScript>(script: S): Generator<S> {
  for (const steps of fewer(script.steps)) yield { ...script, steps };
  if (script.cuts[0] !== -1) yield { ...script, cuts: [-1] };
  if (script.cuts[0] !== 0) yield { ...script, cuts: [0] };
}

/** The client's end of a connection, and what can be done to the gateway's. */
export interface FrameSide {
  readonly client: { send(bytes: Buffer): void; betweenFrames: boolean; readonly socket: { pause(): unknown } };
  readonly tick: (ms: number) => void;
  readonly drain: () => void;
  readonly destroy: () => void;
  readonly upload?: (upload: Upload) => void;
}

/** Sends preface and settings, then goes through the steps. */
export async function playFrames(
  { steps, cuts }: FrameScript,
  side: FrameSide,
  settings: readonly Setting[],
): Promise<void> {
  const { client } = side;
  client.send(Buffer.concat([CLIENT_PREFACE, writeSettings(settings)]));
  let pending: Buffer[] = [];
  for (const step of [...steps, { act: 'wait' } as const]) {
    if ('what' in step) {
      pending.push(Buffer.from(step.frame, 'hex'));
      continue;
    }
    client.betweenFrames = false;
    await send(client, pending, cuts);
    client.betweenFrames = true;
    pending = [];
    if ('upload' in step) side.upload?.(step);
    else if ('tick' in step) side.tick(step.tick);
    else if (step.act === 'drain') side.drain();
    else if (step.act === 'destroy') side.destroy();
    else if (step.act === 'stop reading') client.socket.pause();
    else await nextTurn();
  }
}

/** What a client asks last, to see that all before it has been read. */
export const PONG = writePing(Buffer.from('the end.'), false);

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
