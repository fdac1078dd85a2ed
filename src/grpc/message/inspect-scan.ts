import { badRequest } from '../../policy/denial.ts';
import { FoundNames, type ScannedNames } from './found-names.ts';
import type { Rule, Shape } from './inspect-shapes.ts';
import type { Tells } from './message-facts.ts';
import { isSound } from './name-free.ts';
import { OpenMessages } from './open-messages.ts';
import {
  behindScalar,
  checkKey,
  MAX_NESTING,
  malformed,
  readText,
  readTextAt,
  shortVarint,
  WireFault,
  WireType,
} from './wire.ts';

/** Longest name, in bytes: 255 characters of at most four. */
const MAX_NAME_BYTES = 1020;

type Phase = 'tag' | 'length' | 'varint' | 'skip' | 'name';

/**
 * Scans one message while its bytes arrive. Memory depends only on nesting and distinct names: fields without a rule
 * are skipped by their length. `push` and `finish` throw `WireFault`; the scanner cannot be used after that.
 *
 * Upstream: prost merges repeated occurrences of a singular message, so the names of all of them are kept; of a scalar
 * the last one counts.
 */
export class MessageScanner {
  readonly #messages: OpenMessages;
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
  readonly #names: FoundNames;

  /** The last main name read so far; `undefined` = none yet. */
  get targetSoFar(): string | undefined {
    return this.#names.target === '' ? undefined : this.#names.target;
  }

  /** @param length size of the message from its prefix, in bytes; infinite = known at `finish` */
  constructor(shape: Shape, length: number) {
    this.#names = new FoundNames(shape.part);
    this.#messages = new OpenMessages(this.#names, shape, length);
  }

  /** Resets the scanner for another message. */
  restart(shape: Shape, length: number): void {
    this.#messages.restart(shape, length);
    this.#offset = 0;
    this.#phase = 'tag';
    this.#value = 0;
    this.#scale = 1;
    this.#count = 0;
    this.#left = 0;
    this.#rule = undefined;
    this.#pending = undefined;
    this.#doubted = 0;
    this.#names.restart(shape.part);
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
    while (at >= 0 && this.#messages.top.group === 0) {
      const { end } = this.#messages.top;
      this.#offset = base + at;
      if (this.#offset === end && this.#messages.depth > 0) this.#messages.close();
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
    const { rules } = this.#messages.top.shape;
    const rule = number < rules.length ? rules[number] : undefined;
    const type = (tag >> 2) & 7;
    if (type !== WireType.bytes) return rule === undefined ? behindScalar(bytes, at, to, type) : -1;
    const size = shortVarint(bytes, at, to);
    const length = size >> 2;
    at += size & 3;
    if (size < 0 || length > end - at) return -1;
    if (rule?.kind === 'message') {
      const offset = this.#offset + at - start;
      if (length <= to - at && this.#isSound(rule.shape, bytes, at, length, offset)) {
        if (rule.tells) this.#passed(rule.tells);
        return at + length;
      }
      this.#messages.enter(rule.shape, rule, offset + length, 0);
      return at;
    }
    if (length > to - at) return -1;
    if (rule !== undefined) {
      if (length === 0 || length > MAX_NAME_BYTES || isNumber(rule)) return -1;
      this.#names.add(rule, readTextAt(bytes, at, at + length), this.#messages.top);
    }
    return at + length;
  }

  /** Ends the message after the last `push`. */
  finish(): ScannedNames {
    const { end } = this.#messages.top;
    const short = end !== Number.POSITIVE_INFINITY && this.#offset !== end;
    if (this.#phase !== 'tag' || this.#count !== 0 || this.#messages.depth !== 0 || short) {
      throw malformed('truncated message');
    }
    this.#names.place(this.#messages.top);
    return this.#names.scanned;
  }

  /** True = a complete message that cannot contain a name and is valid, so it is skipped. */
  #isSound({ nameFree }: Shape, bytes: Buffer, from: number, length: number, offset: number): boolean {
    if (nameFree === 0 || offset < this.#doubted || this.#messages.depth >= MAX_NESTING) return false;
    if (length === 0) return true;
    if (isSound(nameFree, bytes, from, from + length, MAX_NESTING - 1 - this.#messages.depth)) return true;
    // Its parts are not checked in this way again: a client could cause a check per level.
    this.#doubted = offset + length;
    return false;
  }

  /** A message that tells something was skipped. */
  #passed(tells: Tells): void {
    this.#names.facts?.enter(tells);
    this.#names.facts?.close(tells);
  }

  #readVarint(bytes: Buffer, from: number, to: number): number {
    const first = bytes[from] ?? 0;
    if (first < 0x80 && this.#count === 0 && this.#offset < this.#messages.top.end) {
      this.#offset += 1;
      this.#completeVarint(first);
      return from + 1;
    }
    let at = from;
    while (at < to) {
      const byte = bytes[at] ?? 0;
      if (this.#offset === this.#messages.top.end) throw malformed('truncated varint');
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
    else {
      if (this.#rule?.kind === 'number') this.#names.facts?.number(this.#rule.slot, value);
      else if (this.#rule?.kind === 'exact') this.#names.facts?.exact(value !== 0);
      this.#nextField();
    }
  }

  #startField(key: number): void {
    const number = key >>> 3;
    const type = key & 7;
    const rules = this.#messages.top.shape.rules;
    this.#rule = number < rules.length ? rules[number] : undefined;
    if (this.#rule && type !== wireTypeOf(this.#rule)) throw malformed('wrong wire type of a known field');
    switch (type) {
      case WireType.varint:
        this.#phase = 'varint';
        break;
      case WireType.bytes:
        this.#phase = 'length';
        break;
      case WireType.startGroup:
        this.#open(UNKNOWN_GROUP, undefined, this.#messages.top.end, number);
        break;
      case WireType.endGroup:
        if (this.#messages.top.group !== number) throw malformed('unexpected end group tag');
        this.#messages.close();
        this.#nextField();
        break;
      default:
        if (this.#rule) this.#expect(8);
        else this.#skip(type === WireType.fixed64 ? 8 : 4);
    }
  }

  /** Bytes of a value that is read. */
  #expect(length: number): void {
    if (length > this.#messages.top.end - this.#offset) throw malformed('length beyond the end');
    this.#phase = 'name';
    this.#left = length;
  }

  #startContent(length: number): void {
    const rule = this.#rule;
    if (rule === undefined) {
      this.#skip(length);
      return;
    }
    if (length > this.#messages.top.end - this.#offset) throw malformed('length beyond the end');
    if (rule.kind === 'message') {
      this.#open(rule.shape, rule, this.#offset + length, 0);
      return;
    }
    if (length > MAX_NAME_BYTES)
      throw new WireFault(badRequest('invalid_collection_name', 'a collection name is longer than 255 characters'));
    if (length === 0) {
      this.#names.add(rule, '', this.#messages.top);
      this.#nextField();
      return;
    }
    this.#phase = 'name';
    this.#left = length;
  }

  #skip(length: number): void {
    if (length > this.#messages.top.end - this.#offset) throw malformed('length beyond the end');
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
    if (this.#rule?.kind === 'double') this.#names.facts?.number(this.#rule.slot, whole.readDoubleLE(0));
    else if (this.#rule) this.#names.add(this.#rule, readText(whole), this.#messages.top);
    this.#nextField();
    return end;
  }

  /** Closes every message that ends here, and waits for a tag. */
  #nextField(): void {
    this.#phase = 'tag';
    while (this.#messages.depth > 0 && this.#offset === this.#messages.top.end) {
      if (this.#messages.top.group !== 0) throw malformed('group without an end');
      this.#messages.close();
    }
  }

  #open(shape: Shape, rule: Rule | undefined, end: number, group: number): void {
    this.#messages.enter(shape, rule, end, group);
    this.#nextField();
  }
}

function isNumber({ kind }: Rule): boolean {
  return kind === 'number' || kind === 'exact' || kind === 'double';
}

function wireTypeOf(rule: Rule): number {
  if (rule.kind === 'double') return WireType.fixed64;
  return isNumber(rule) ? WireType.varint : WireType.bytes;
}

const UNKNOWN_GROUP: Shape = { rules: [], nameFree: 0 };
