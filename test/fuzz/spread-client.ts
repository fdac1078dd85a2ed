import type { Socket } from 'node:net';
import { Flag, type Frame, FrameType, SettingId } from '../../src/http2/frames.ts';
import { encodeHeaders } from '../../src/http2/hpack.ts';
import { writeData, writeHeaders, writeSettings, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { framed } from '../support/clients/h2-client.ts';
import { summed } from './spread-node.ts';
import { type ClientWatch, StrictClient } from './strict-client.ts';

/** One call, with bytes of its request and of its answer. */
export interface CallScript {
  readonly isWrite: boolean;
  readonly up: number;
  readonly down: number;
  /** Bytes of its DATA frames. */
  readonly frame: number;
}

/** How a client takes answers. */
export interface TakingScript {
  readonly initial: number;
  /** Added to the connection window at first. */
  readonly connection: number;
  readonly grantEvery: number;
  /** A smaller initial window later; -1 = never. */
  readonly later: number;
}

interface Open {
  readonly script: CallScript;
  readonly body: Buffer;
  at: number;
  window: number;
  taken: number;
  ungranted: number;
  received: string | undefined;
}

/** Valid protobuf: a collection name and an unknown field. */
function bodyOf({ up }: CallScript, number: number): Buffer {
  const filler = Buffer.alloc(up);
  for (let at = 0; at < up; at += 1) filler[at] = (at * 7 + number) & 0xff;
  const length: number[] = [];
  for (let left = up; ; left = Math.floor(left / 128)) {
    length.push(left < 128 ? left : (left % 128) | 128);
    if (left < 128) break;
  }
  return framed(Buffer.concat([Buffer.from('0a04646f6373', 'hex'), Buffer.from([0x7a, ...length]), filler]));
}

/** A client that makes all its calls at once, sends within the gateway's windows, and takes answers as its script says. */
export class SpreadClient implements ClientWatch {
  readonly strict: StrictClient;
  readonly #calls = new Map<number, Open>();
  readonly #taking: TakingScript;
  #window = 65_535;
  #initial = 65_535;
  #ungranted = 0;
  /** Bytes of a stream that it grants at once. */
  #least: number;
  #pumping = false;

  constructor(socket: Socket, taking: TakingScript) {
    this.#taking = taking;
    this.#least = Math.max(1, taking.initial >> 1);
    this.strict = new StrictClient(socket, this);
  }

  begin(): void {
    const { initial, connection } = this.#taking;
    this.strict.open([[SettingId.INITIAL_WINDOW_SIZE, initial]]);
    if (connection > 0) this.strict.send(writeWindowUpdate(0, connection));
  }

  call(number: number, script: CallScript): void {
    const id = 2 * number + 1;
    const head = encodeHeaders([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', script.isWrite ? '/qdrant.Points/Upsert' : '/qdrant.Points/Count'],
      [':authority', 'a'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['api-key', 'admin'],
      ['x-call', `${number}`],
      ['x-down', `${script.down}`],
    ]);
    this.#calls.set(id, {
      ...{ script, body: bodyOf(script, number), at: 0, window: this.#initial },
      ...{ taken: 0, ungranted: 0, received: undefined },
    });
    this.strict.send(writeHeaders(id, head, false));
    this.#pump();
  }

  /** Settings in the middle of it. */
  change(): void {
    const { later } = this.#taking;
    if (later >= 0) this.#least = Math.max(1, later >> 1);
    if (later >= 0) this.strict.send(writeSettings([[SettingId.INITIAL_WINDOW_SIZE, later]]));
    if (later === 0) for (const id of this.#calls.keys()) this.strict.send(writeWindowUpdate(id, 1_000_000));
  }

  /** What is wrong with an ended call; `undefined` = it is as asked for. */
  wrongWith(number: number): string | undefined {
    const id = 2 * number + 1;
    const call = this.#calls.get(id);
    const status = this.strict.statusOf(id);
    if (!call || status !== '0') return `call ${number} ended with ${status}`;
    if (call.taken !== call.script.down + 5) return `call ${number} was answered with ${call.taken} bytes`;
    const expected = `${call.body.length} ${summed(0, call.body)}`;
    return call.received === expected ? undefined : `call ${number}: the node has received ${call.received}`;
  }

  /** One frame of each call in turn, as far as windows permit. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let moved = true; moved; ) {
      moved = false;
      for (const [id, call] of this.#calls) if (this.#sendSome(id, call)) moved = true;
    }
    this.#pumping = false;
  }

  #sendSome(id: number, call: Open): boolean {
    const left = call.body.length - call.at;
    if (left === 0 || this.strict.ended.has(id)) return false;
    const size = Math.min(call.script.frame, left, call.window, this.#window);
    if (size <= 0) return false;
    this.#window -= size;
    call.window -= size;
    const part = call.body.subarray(call.at, call.at + size);
    call.at += size;
    this.strict.send(writeData(id, part, call.at === call.body.length));
    return true;
  }

  head(id: number, fields: readonly (readonly [string, string])[]): void {
    const call = this.#calls.get(id);
    const received = fields.find(([name]) => name === 'x-received');
    if (call && received) call.received = received[1];
  }

  data(id: number, bytes: Buffer): void {
    const call = this.#calls.get(id);
    if (!call) return;
    call.taken += bytes.length;
    call.ungranted += bytes.length;
    this.#ungranted += bytes.length;
    const { grantEvery } = this.#taking;
    if (this.#ungranted >= grantEvery) {
      this.strict.send(writeWindowUpdate(0, this.#ungranted));
      this.#ungranted = 0;
    }
    if (this.strict.ended.has(id) || call.ungranted < Math.min(grantEvery, this.#least)) return;
    this.strict.send(writeWindowUpdate(id, call.ungranted));
    call.ungranted = 0;
  }

  reset(): void {
    this.#pump();
  }

  granted(id: number, increment: number): void {
    const call = this.#calls.get(id);
    if (id === 0) this.#window += increment;
    else if (call) call.window += increment;
    this.#pump();
  }

  initial(bytes: number): void {
    for (const call of this.#calls.values()) call.window += bytes - this.#initial;
    this.#initial = bytes;
    this.#pump();
  }

  said(_frame: Frame): void {
    void FrameType;
    void Flag;
  }
}
