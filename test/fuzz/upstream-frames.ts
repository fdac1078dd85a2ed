import type { Socket } from 'node:net';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import { Flag, FrameType, type Setting, SettingId } from '../../src/http2/frames.ts';
import { encodeHeaders } from '../../src/http2/hpack.ts';
import { writeFrameHeader, writePing, writeSettings, writeSettingsAck } from '../../src/http2/write-frames.ts';
import { framed } from '../support/clients/h2-client.ts';
import { nextTurn } from '../support/later.ts';
import { type Arena, checkFaults, checkGone, openArena, within } from './frame-arena.ts';
import { type Choices, type Fuzzer, type FuzzSession, fewer } from './harness.ts';

/** What upstream says when so many calls have come to it in whole: frames as hexadecimal digits, and then perhaps its end. */
interface Script {
  /** How many calls the client makes, and which of them it gives up. */
  readonly calls: number;
  readonly given: readonly number[];
  /** Upstream waits for so many calls before it says anything. */
  readonly after: number;
  /** Bytes of its segments in turn; 0 = each frame alone, -1 = all in one. */
  readonly cuts: readonly number[];
  readonly frames: readonly string[];
  readonly end: 'stays' | 'fin' | 'reset';
  /** It acknowledges settings, and grants what it gets. */
  readonly polite: boolean;
  /** Settings the client begins with, and frames it sends while upstream speaks; default: none. */
  readonly settings?: readonly Setting[];
  readonly beside?: readonly string[];
}

function frame(type: number, flags: number, streamId: number, payload: Buffer): string {
  const bytes = Buffer.alloc(9 + payload.length);
  writeFrameHeader(bytes, 0, payload.length, type, flags, streamId);
  payload.copy(bytes, 9);
  return bytes.toString('hex');
}

function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

const HEAD = encodeHeaders([[':status', '200']]);
const END = encodeHeaders([['grpc-status', '0']]);
const INSERTS = Buffer.from('40027878027979', 'hex');
const EDGES = [0, 1, 100, 16_384, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** An answer, whole or up to somewhere. */
function answer(choices: Choices, id: number): string[] {
  const head = choices.chance(0.4) ? Buffer.concat([HEAD, INSERTS]) : HEAD;
  const at = choices.below(head.length);
  const frames = choices.chance(0.2)
    ? [frame(1, 0, id, head.subarray(0, at)), frame(9, Flag.END_HEADERS, id, head.subarray(at))]
    : [frame(1, Flag.END_HEADERS, id, head)];
  const bytes = choices.weighted([
    [5, choices.below(200)],
    [2, choices.below(16_000)],
  ]);
  const body = framed(Buffer.alloc(bytes, 'u'));
  const copies = choices.chance(0.1) ? 8 : 1;
  for (let copy = 0; copy < copies; copy += 1) frames.push(frame(0, 0, id, body));
  frames.push(frame(1, Flag.END_HEADERS | Flag.END_STREAM, id, choices.chance(0.2) ? Buffer.from([0xbe]) : END));
  return choices.chance(0.15) ? frames.slice(0, choices.between(1, frames.length)) : frames;
}

function other(choices: Choices, calls: number): string {
  const id = choices.chance(0.2) ? choices.below(40) : 2 * choices.below(calls) + 1;
  return choices.weighted([
    [3, () => frame(3, 0, id, number32(choices.below(14)))],
    [3, () => frame(8, 0, choices.chance(0.5) ? 0 : id, number32(choices.chance(0.6) ? 1000 : choices.of(EDGES)))],
    [
      3,
      () =>
        writeSettings([
          [
            choices.weighted([
              [4, 4],
              [2, 3],
              [2, 1],
              [1, choices.below(12)],
            ]),
            choices.of(EDGES),
          ],
        ]).toString('hex'),
    ],
    [1, () => writeSettingsAck().toString('hex')],
    [2, () => writePing(choices.bytes(8), choices.chance(0.3)).toString('hex')],
    [
      2,
      () =>
        frame(7, 0, 0, Buffer.concat([number32(choices.of([0, 1, 3, 5, 0x7fff_ffff])), number32(choices.below(12))])),
    ],
    [1, () => frame(5, 4, id, Buffer.concat([number32(2), HEAD]))],
    [1, () => frame(choices.below(14), choices.below(64), id, choices.bytes(choices.below(20)))],
    [1, () => frame(0, choices.below(2), id, Buffer.alloc(choices.below(16_385)))],
    [1, () => frame(1, choices.of([0, 4, 5, 13]), id, choices.bytes(choices.below(30)))],
    [1, () => choices.bytes(choices.between(1, 60)).toString('hex')],
  ])();
}

/** Stream windows that an answer overruns, and larger ones. */
const WINDOWS = [0, 1, 100, 1000, 5000, 16_384, 65_535, 100_000, 0x7fff_ffff];

/** What the client says of its windows, beside its calls. */
function windows(choices: Choices, calls: number): Required<Pick<Script, 'settings' | 'beside'>> {
  const setting = (): Setting => [SettingId.INITIAL_WINDOW_SIZE, choices.of(WINDOWS)];
  const frames = choices.chance(0.4) ? [frame(8, 0, 0, number32(1_000_000))] : [];
  for (let i = choices.chance(0.5) ? choices.below(5) : 0; i > 0; i -= 1) {
    const grant = frame(8, 0, 2 * choices.below(calls) + 1, number32(choices.between(1, 20_000)));
    frames.push(choices.chance(0.4) ? writeSettings([setting()]).toString('hex') : grant);
  }
  return { settings: choices.chance(0.5) ? [setting()] : [], beside: frames };
}

function make(choices: Choices): Script {
  const calls = choices.between(1, 6);
  const frames: string[] = [];
  for (let call = 0; call < calls; call += 1) if (choices.chance(0.85)) frames.push(...answer(choices, 2 * call + 1));
  for (let i = choices.below(6); i > 0; i -= 1)
    frames.splice(choices.below(frames.length + 1), 0, other(choices, calls));
  if (choices.chance(0.9)) frames.unshift(writeSettings([]).toString('hex'));
  return {
    ...{ calls, frames, after: choices.below(calls + 1) },
    given: Array.from({ length: calls }, (_, at) => 2 * at + 1).filter(() => choices.chance(0.15)),
    cuts: choices.weighted<readonly number[]>([
      [3, [-1]],
      [2, [0]],
      [2, [choices.between(1, 200), choices.between(1, 50)]],
    ]),
    end: choices.weighted([
      [5, 'stays'],
      [2, 'fin'],
      [2, 'reset'],
    ] as const),
    polite: choices.chance(0.8),
    ...windows(choices, calls),
  };
}

function* simpler(script: Script): Generator<Script> {
  for (const frames of fewer(script.frames)) yield { ...script, frames };
  if (script.given.length > 0) yield { ...script, given: [] };
  if ((script.settings?.length ?? 0) > 0) yield { ...script, settings: [] };
  for (const beside of fewer(script.beside ?? [])) yield { ...script, beside };
  if (script.cuts[0] !== -1) yield { ...script, cuts: [-1] };
  if (script.end !== 'stays') yield { ...script, end: 'stays' };
}

/** What upstream is to do, and how far it has come. */
interface State {
  script: Script | undefined;
  said: boolean;
  /** Calls that have come in whole, to whichever node. */
  whole: number;
  /** Speaks, once upstream is connected. */
  speak: (() => Promise<void>) | undefined;
}

/** @param node of several, the first speaks and the others answer; 0 without a list, too */
function accept(socket: Socket, state: State, node: number): void {
  const script = node === 0 ? state.script : undefined;
  const reader = new FrameReader(16_384, true);
  const speak = async (): Promise<void> => {
    if (!script || state.said) return;
    state.said = true;
    const parts = script.frames.map((hex) => Buffer.from(hex, 'hex'));
    const all = Buffer.concat(parts);
    const sizes = script.cuts[0] === 0 ? parts.map(({ length }) => length) : script.cuts;
    const isCut = (script.cuts[0] ?? -1) >= 0 && (script.cuts[0] === 0 || all.length < 4000);
    for (let at = 0, next = 0; at < all.length; next += 1) {
      const size = isCut ? Math.max(1, sizes[next % sizes.length] ?? all.length) : all.length;
      if (socket.destroyed) return;
      socket.write(all.subarray(at, at + size));
      at += size;
      await nextTurn();
    }
    if (script.end === 'fin') socket.end();
    if (script.end === 'reset') socket.resetAndDestroy();
  };
  if (script) state.speak = speak;
  socket.on('data', (chunk: Buffer) => {
    reader.push(chunk, (frame) => {
      const ends = frame.type === FrameType.DATA && frame.has(Flag.END_STREAM);
      if (frame.type === FrameType.SETTINGS && !frame.has(Flag.ACK) && script?.polite !== false)
        socket.write(writeSettingsAck());
      if (ends) state.whole += 1;
      if (!ends || script) return;
      // A fresh connection that only wants to be served.
      const id = frame.streamId;
      const parts = [writeSettings([]).toString('hex'), frameOfAnswer(id)];
      socket.write(Buffer.from(parts.join(''), 'hex'));
    });
    if (state.script && state.whole >= state.script.after) void state.speak?.();
  });
}

function frameOfAnswer(id: number): string {
  return frame(1, Flag.END_HEADERS, id, HEAD) + frame(0, 0, id, framed(Buffer.alloc(0))) + frame(1, 5, id, END);
}

class Session implements FuzzSession<Script> {
  readonly #arena: Arena;
  readonly #state: State;
  #ran = 0;

  constructor(arena: Arena, state: State) {
    this.#arena = arena;
    this.#state = state;
  }

  async run(script: Script): Promise<void> {
    const arena = this.#arena;
    const before = arena.recorded;
    this.#state.script = script;
    Object.assign(this.#state, { said: false, whole: 0, speak: undefined });
    const { client, relay } = await arena.join();
    client.open(script.settings);
    for (let call = 0; call < script.calls; call += 1) {
      client.call(2 * call + 1, '/qdrant.Points/Count', 'admin', Buffer.from('0a04646f6373', 'hex'));
    }
    await within('upstream has been asked', () => this.#isAsked(script) || client.over);
    for (const id of script.given) client.send(Buffer.from(frame(3, 0, id, number32(8)), 'hex'));
    for (const hex of script.beside ?? []) {
      client.send(Buffer.from(hex, 'hex'));
      await nextTurn();
    }
    for (let turns = 0; turns < 6; turns += 1) await nextTurn();
    const pongs = client.pongs;
    client.send(writePing(Buffer.from('the end.'), false));
    await within('the client is answered', () => client.pongs > pongs || client.over || client.wrong !== undefined);
    client.socket.resetAndDestroy();
    await within('the connection is gone', () => arena.open === 0);
    checkFaults(arena, client);
    checkGone(relay, before, arena);
    this.#ran += 1;
    if (this.#ran % 16 === 0) await this.rest();
  }

  /** With several nodes none of the calls may come to the one that speaks. */
  #isAsked({ after }: Script): boolean {
    const { said, speak, whole } = this.#state;
    return said || (!speak && after > 0 && whole >= after);
  }

  async rest(): Promise<void> {
    this.#state.script = undefined;
    await this.#arena.serves();
    await this.#arena.untilGone();
  }

  close(): Promise<void> {
    return this.#arena.close();
  }
}

export const fuzzer = upstreamFrames(
  'upstream-frames',
  'frames and garbage of an upstream that gRPC calls are relayed to',
  0,
);

/** @param nodes behind the gateway; 0 = one upstream without a list */
export function upstreamFrames(name: string, about: string, nodes: number): Fuzzer<Script> {
  return {
    ...{ name, about, make, simpler },
    async open() {
      const state: State = { script: undefined, said: false, whole: 0, speak: undefined };
      return new Session(await openArena((socket, node) => accept(socket, state, node), nodes), state);
    },
  };
}
