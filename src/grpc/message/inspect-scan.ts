import { badRequest } from '../../policy/denial.ts';
import { CheckingOrder, type Lookups } from './inspect-order.ts';
import type { Rule, Shape } from './inspect-shapes.ts';
import { isSound } from './name-free.ts';
import {
  behindScalar,
  checkKey,
  MAX_NESTING,
  malformed,
  readText,
  readTextAt,
  shortVarint,
  tooDeep,
  tooManyNames,
  WireFault,
  WireType,
} from './wire.ts';

/** Longest name, in bytes: 255 characters of at most four. */
const MAX_NAME_BYTES = 1020;
/** Most distinct names in one message. */
const MAX_NAMES = 1024;

/** The names found in a message. */
export interface ScannedNames {
  /** The last main name; empty if absent, as upstream reads it. */
  readonly target: string;
  /** Every other name once, in upstream's checking order. */
  readonly others: readonly string[];
  /** A singular field that occurred more than once with different names. */
  readonly disagreeing: string | undefined;
}

type Phase = 'tag' | 'length' | 'varint' | 'skip' | 'name';

/** One open message or group. Reused by depth. */
interface Frame extends Lookups {
  shape: Shape;
  rule: Rule | undefined;
  /** Offset of the end. A group has that of its parent: it ends at a tag. */
  end: number;
  /** Field number of a group, 0 for a message. */
  group: number;
  /** Names in this message itself; only look-ups have any. */
  names: Set<string> | undefined;
}

/**
 * Scans one message while its bytes arrive. Memory depends only on nesting and distinct names: fields without a rule
 * are skipped by their length. `push` and `finish` throw `WireFault`; the scanner cannot be used after that.
 *
 * Upstream: prost merges repeated occurrences of a singular message, so the names of all of them are kept; of a scalar
 * the last one counts.
 */
export class MessageScanner {
  readonly #frames: [Frame, ...Frame[]];
  #depth = 0;
  #top: Frame;
  #offset = 0;
  #phase: Phase = 'tag';
  /** The partly read varint. */
  #value = 0;
  #scale = 1;
  #count = 0;
  /** Unread bytes of the current value. */
  #left = 0;
  #rule: Rule | undefined;
  #pending: Buffer | undefined;
  /** Messages up to this offset are scanned even if they cannot contain a name. */
  #doubted = 0;
  #target = '';
  /** All names, and their checking order; most messages have none. */
  #met: Set<string> | undefined;
  #order: CheckingOrder | undefined;

  /** The last main name read so far; `undefined` = none yet. */
  get targetSoFar(): string | undefined {
    return this.#target === '' ? undefined : this.#target;
  }

  /** @param length size of the message from its prefix, in bytes; infinite = known at `finish` */
  constructor(shape: Shape, length: number) {
    this.#top = openFrame(shape, undefined, length, 0, 0);
    this.#frames = [this.#top];
  }

  /** Resets the scanner for another message. */
  restart(shape: Shape, length: number): void {
    this.#top = this.#frames[0];
    reopen(this.#top, shape, undefined, length, 0, 0);
    this.#depth = 0;
    this.#offset = 0;
    this.#phase = 'tag';
    this.#value = 0;
    this.#scale = 1;
    this.#count = 0;
    this.#left = 0;
    this.#rule = undefined;
    this.#pending = undefined;
    this.#doubted = 0;
    this.#target = '';
    this.#met = undefined;
    this.#order = undefined;
  }

  /** Reads `bytes[from, to)`; never more than the message has. */
  push(bytes: Buffer, from = 0, to = bytes.length): void {
    let at = from;
    while (at < to) {
      if (this.#phase === 'skip') {
        const taken = Math.min(this.#left, to - at);
        at += taken;
        this.#offset += taken;
        this.#left -= taken;
        if (this.#left === 0) this.#nextField();
      } else if (this.#phase === 'name') {
        at = this.#readName(bytes, at, to);
      } else {
        if (this.#phase === 'tag' && this.#count === 0) at = this.#readFields(bytes, at, to);
        if (at < to) at = this.#readVarint(bytes, at, to);
      }
    }
  }

  /**
   * Fast path: reads complete fields, as nearly all are, up to one that is not: cut off, with a long tag or length, of
   * a group, or invalid. That one is read again, byte by byte, from the returned offset.
   */
  #readFields(bytes: Buffer, from: number, to: number): number {
    const base = this.#offset - from;
    let at = from;
    while (at >= 0 && this.#top.group === 0) {
      const { end } = this.#top;
      this.#offset = base + at;
      if (this.#offset === end && this.#depth > 0) this.#close();
      else at = this.#readField(bytes, at, Math.min(to, end - base), end - base);
    }
    return this.#offset - base;
  }

  /**
   * Offset after the field at `start`, or of the content of its message; -1 = not readable on the fast path.
   *
   * @param to end of the bytes, or of the innermost open message
   * @param end end of that message; the bytes may end before
   */
  #readField(bytes: Buffer, start: number, to: number, end: number): number {
    const tag = shortVarint(bytes, start, to);
    const number = tag >> 5;
    if (number <= 0) return -1;
    let at = start + (tag & 3);
    const { rules } = this.#top.shape;
    const rule = number < rules.length ? rules[number] : undefined;
    const type = (tag >> 2) & 7;
    if (type !== WireType.bytes) return rule === undefined ? behindScalar(bytes, at, to, type) : -1;
    const size = shortVarint(bytes, at, to);
    const length = size >> 2;
    at += size & 3;
    if (size < 0 || length > end - at) return -1;
    if (rule?.kind === 'message') {
      const offset = this.#offset + at - start;
      if (length <= to - at && this.#isSound(rule.shape, bytes, at, length, offset)) return at + length;
      this.#enter(rule.shape, rule, offset + length, 0);
      return at;
    }
    if (length > to - at) return -1;
    if (rule !== undefined) {
      if (length === 0 || length > MAX_NAME_BYTES) return -1;
      this.#foundName(rule, readTextAt(bytes, at, at + length));
    }
    return at + length;
  }

  /** Ends the message after the last `push`. */
  finish(): ScannedNames {
    const { end } = this.#top;
    const short = end !== Number.POSITIVE_INFINITY && this.#offset !== end;
    if (this.#phase !== 'tag' || this.#count !== 0 || this.#depth !== 0 || short) {
      throw malformed('truncated message');
    }
    this.#place(this.#top);
    return { target: this.#target, others: this.#order?.names ?? NO_NAMES, disagreeing: this.#order?.disagreeing };
  }

  /** True = a complete message that cannot contain a name and is valid, so it is skipped. */
  #isSound({ nameFree }: Shape, bytes: Buffer, from: number, length: number, offset: number): boolean {
    if (nameFree === 0 || offset < this.#doubted || this.#depth >= MAX_NESTING) return false;
    if (length === 0) return true;
    if (isSound(nameFree, bytes, from, from + length, MAX_NESTING - 1 - this.#depth)) return true;
    // Its parts are not checked in this way again: a client could cause a check per level.
    this.#doubted = offset + length;
    return false;
  }

  #readVarint(bytes: Buffer, from: number, to: number): number {
    const first = bytes[from] ?? 0;
    if (first < 0x80 && this.#count === 0 && this.#offset < this.#top.end) {
      this.#offset += 1;
      this.#completeVarint(first);
      return from + 1;
    }
    let at = from;
    while (at < to) {
      const byte = bytes[at] ?? 0;
      if (this.#offset === this.#top.end) throw malformed('truncated varint');
      at += 1;
      this.#offset += 1;
      this.#count += 1;
      this.#value += (byte & 0x7f) * this.#scale;
      if (byte < 0x80) {
        if (this.#count === 10 && byte > 1) throw malformed('varint over 64 bits');
        const value = this.#value;
        this.#value = 0;
        this.#scale = 1;
        this.#count = 0;
        this.#completeVarint(value);
        return at;
      }
      if (this.#count === 10) throw malformed('varint over 10 bytes');
      this.#scale *= 128;
    }
    return at;
  }

  #completeVarint(value: number): void {
    if (this.#phase === 'tag') this.#startField(checkKey(value));
    else if (this.#phase === 'length') this.#startContent(value);
    else this.#nextField();
  }

  #startField(key: number): void {
    const number = key >>> 3;
    const type = key & 7;
    const rules = this.#top.shape.rules;
    this.#rule = number < rules.length ? rules[number] : undefined;
    if (this.#rule && type !== WireType.bytes) throw malformed('wrong wire type of a known field');
    switch (type) {
      case WireType.varint:
        this.#phase = 'varint';
        break;
      case WireType.bytes:
        this.#phase = 'length';
        break;
      case WireType.startGroup:
        this.#open(UNKNOWN_GROUP, undefined, this.#top.end, number);
        break;
      case WireType.endGroup:
        if (this.#top.group !== number) throw malformed('unexpected end group tag');
        this.#close();
        this.#nextField();
        break;
      default:
        this.#skip(type === WireType.fixed64 ? 8 : 4);
    }
  }

  #startContent(length: number): void {
    const rule = this.#rule;
    if (rule === undefined) {
      this.#skip(length);
      return;
    }
    if (length > this.#top.end - this.#offset) throw malformed('length beyond the end');
    if (rule.kind === 'message') {
      this.#open(rule.shape, rule, this.#offset + length, 0);
      return;
    }
    if (length > MAX_NAME_BYTES)
      throw new WireFault(badRequest('invalid_collection_name', 'a collection name is longer than 255 characters'));
    if (length === 0) {
      this.#foundName(rule, '');
      this.#nextField();
      return;
    }
    this.#phase = 'name';
    this.#left = length;
  }

  #skip(length: number): void {
    if (length > this.#top.end - this.#offset) throw malformed('length beyond the end');
    this.#left = length;
    if (length === 0) this.#nextField();
    else this.#phase = 'skip';
  }

  #readName(bytes: Buffer, from: number, to: number): number {
    const end = Math.min(from + this.#left, to);
    const part = bytes.subarray(from, end);
    this.#offset += part.length;
    this.#left -= part.length;
    if (this.#left > 0) {
      // A copy: the caller may reuse its buffer.
      this.#pending = this.#pending ? Buffer.concat([this.#pending, part]) : Buffer.from(part);
      return end;
    }
    const whole = this.#pending ? Buffer.concat([this.#pending, part]) : part;
    this.#pending = undefined;
    if (this.#rule) this.#foundName(this.#rule, readText(whole));
    this.#nextField();
    return end;
  }

  #foundName(rule: Rule, name: string): void {
    if (rule.kind === 'target') {
      this.#target = name;
      return;
    }
    this.#met ??= new Set();
    this.#met.add(name);
    if (this.#met.size > MAX_NAMES) throw tooManyNames(MAX_NAMES);
    this.#top.names ??= new Set();
    this.#top.names.add(name);
  }

  /** Closes every message that ends here, and waits for a tag. */
  #nextField(): void {
    this.#phase = 'tag';
    while (this.#depth > 0 && this.#offset === this.#top.end) {
      if (this.#top.group !== 0) throw malformed('group without an end');
      this.#close();
    }
  }

  #open(shape: Shape, rule: Rule | undefined, end: number, group: number): void {
    this.#enter(shape, rule, end, group);
    this.#nextField();
  }

  #enter(shape: Shape, rule: Rule | undefined, end: number, group: number): void {
    this.#depth += 1;
    if (this.#depth > MAX_NESTING) throw tooDeep();
    const spare = this.#frames[this.#depth];
    const start = this.#order?.names.length ?? 0;
    if (spare) {
      reopen(spare, shape, rule, end, group, start);
      this.#top = spare;
    } else {
      this.#top = openFrame(shape, rule, end, group, start);
      this.#frames.push(this.#top);
    }
  }

  #place(message: Frame): void {
    if (message.lookupFrom === undefined && message.withLookup === undefined) return;
    this.#order ??= new CheckingOrder();
    this.#order.add(message);
  }

  /** Passes the names of an ended message to its parent, at their place in the checking order. */
  #close(): void {
    const closed = this.#top;
    this.#depth -= 1;
    const parent = this.#frames[this.#depth];
    if (!parent) throw new TypeError('the outermost message was closed');
    this.#top = parent;
    const rule = closed.rule;
    if (rule?.kind !== 'message' || rule.role === 'plain') return;
    if (rule.role === 'carrier') {
      this.#place(closed);
      return;
    }
    parent[rule.role] ??= new Set();
    for (const name of closed.names ?? []) parent[rule.role]?.add(name);
  }
}

const NO_NAMES: readonly string[] = Object.freeze([]);
const UNKNOWN_GROUP: Shape = { rules: [], nameFree: 0 };

function openFrame(shape: Shape, rule: Rule | undefined, end: number, group: number, start: number): Frame {
  return { shape, rule, end, group, names: undefined, lookupFrom: undefined, withLookup: undefined, start };
}

function reopen(frame: Frame, shape: Shape, rule: Rule | undefined, end: number, group: number, start: number): void {
  frame.shape = shape;
  frame.rule = rule;
  frame.end = end;
  frame.group = group;
  frame.names = undefined;
  frame.lookupFrom = undefined;
  frame.withLookup = undefined;
  frame.start = start;
}
