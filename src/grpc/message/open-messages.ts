import type { FoundNames } from './found-names.ts';
import type { Lookups } from './inspect-order.ts';
import type { Rule, Shape } from './inspect-shapes.ts';
import { MAX_NESTING, tooDeep } from './wire.ts';

/** One open message or group. Reused by depth. */
interface OpenMessage extends Lookups {
  shape: Shape;
  rule: Rule | undefined;
  /** Offset of the end. A group has that of its parent: it ends at a tag. */
  end: number;
  /** Field number of a group, 0 for a message. */
  group: number;
  /** Names in this message itself; only look-ups have any. */
  names: Set<string> | undefined;
}

/** The open messages and groups of one message, the innermost on top. */
export class OpenMessages {
  readonly #names: FoundNames;
  readonly #messages: [OpenMessage, ...OpenMessage[]];
  /** Messages that are open within the outermost one. */
  depth = 0;
  top: OpenMessage;

  /** @param length size of the outermost message, in bytes; may be infinite */
  constructor(names: FoundNames, shape: Shape, length: number) {
    this.#names = names;
    this.top = openMessage(shape, undefined, length, 0, 0);
    this.#messages = [this.top];
  }

  restart(shape: Shape, length: number): void {
    this.top = this.#messages[0];
    reopen(this.top, shape, undefined, length, 0, 0);
    this.depth = 0;
  }

  /** Throws `WireFault` past `MAX_NESTING`. */
  enter(shape: Shape, rule: Rule | undefined, end: number, group: number): void {
    this.depth += 1;
    if (this.depth > MAX_NESTING) throw tooDeep();
    const spare = this.#messages[this.depth];
    const start = this.#names.ordered;
    if (spare) {
      reopen(spare, shape, rule, end, group, start);
      this.top = spare;
    } else {
      this.top = openMessage(shape, rule, end, group, start);
      this.#messages.push(this.top);
    }
    if (rule?.kind === 'message' && rule.tells) this.#names.facts?.enter(rule.tells);
  }

  /** Passes the names of an ended message to its parent, at their place in the checking order. */
  close(): void {
    const closed = this.top;
    this.depth -= 1;
    const parent = this.#messages[this.depth];
    if (!parent) throw new TypeError('the outermost message was closed');
    this.top = parent;
    const rule = closed.rule;
    if (rule?.kind !== 'message') return;
    if (rule.tells) this.#names.facts?.close(rule.tells);
    if (rule.role === 'plain') return;
    if (rule.role === 'carrier') {
      this.#names.place(closed);
      return;
    }
    parent[rule.role] ??= new Set();
    for (const name of closed.names ?? []) parent[rule.role]?.add(name);
  }
}

function openMessage(shape: Shape, rule: Rule | undefined, end: number, group: number, start: number): OpenMessage {
  return { shape, rule, end, group, names: undefined, lookupFrom: undefined, withLookup: undefined, start };
}

function reopen(
  message: OpenMessage,
  shape: Shape,
  rule: Rule | undefined,
  end: number,
  group: number,
  start: number,
): void {
  message.shape = shape;
  message.rule = rule;
  message.end = end;
  message.group = group;
  message.names = undefined;
  message.lookupFrom = undefined;
  message.withLookup = undefined;
  message.start = start;
}
