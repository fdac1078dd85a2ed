import { isDotName } from '../../policy/names/dot-names.ts';
import type { Facts, PartKind } from '../../policy/search/facts.ts';
import { CheckingOrder, type Lookups } from './inspect-order.ts';
import type { Rule } from './inspect-shapes.ts';
import { MessageFacts } from './message-facts.ts';
import { tooManyNames } from './wire.ts';

/** Most distinct names in one message. */
const MAX_NAMES = 1024;

const NO_NAMES: readonly string[] = Object.freeze([]);

/** The names found in a message. */
export interface ScannedNames {
  /** The last main name; empty if absent, as upstream reads it. */
  readonly target: string;
  /** Every other name once, in upstream's checking order. */
  readonly others: readonly string[];
  /** A singular field that occurred more than once with different names. */
  readonly disagreeing: string | undefined;
  /** A name, of any kind, that upstream could take for a way out of a folder. */
  readonly dotted: string | undefined;
  /** Its numbers, if they were asked for. */
  readonly facts?: Facts | undefined;
}

/** Collects the names of one message, and its numbers. */
export class FoundNames {
  #target = '';
  /** All names, and their checking order; most messages have none. */
  #met: Set<string> | undefined;
  #order: CheckingOrder | undefined;
  /** Names beside the look-ups. A message has either of them. */
  #mentions: string[] | undefined;
  #dotted: string | undefined;
  /** Its numbers, if they are asked for. */
  facts: MessageFacts | undefined;

  /** @param part the part that the message is; `undefined` = its numbers are not read */
  constructor(part: PartKind | undefined) {
    this.facts = part && new MessageFacts(part);
  }

  /** The last main name; empty if absent. */
  get target(): string {
    return this.#target;
  }

  /** Number of names in checking order so far. */
  get ordered(): number {
    return this.#order?.names.length ?? 0;
  }

  /** All names, once the outermost message has been placed. */
  get scanned(): ScannedNames {
    return {
      target: this.#target,
      others: this.#mentions ?? this.#order?.names ?? NO_NAMES,
      disagreeing: this.#order?.disagreeing,
      dotted: this.#dotted,
      facts: this.facts?.finish(),
    };
  }

  restart(part: PartKind | undefined): void {
    this.facts = part && new MessageFacts(part);
    this.#target = '';
    this.#met = undefined;
    this.#order = undefined;
    this.#mentions = undefined;
    this.#dotted = undefined;
  }

  /** A name in `message`. Throws `WireFault` for too many. */
  add(rule: Rule, name: string, message: { names: Set<string> | undefined }): void {
    if (isDotName(name)) this.#dotted ??= name;
    if (rule.kind === 'label') return;
    if (rule.kind === 'target') {
      this.#target = name;
      return;
    }
    this.#met ??= new Set();
    if (rule.kind === 'mention') {
      this.#mentions ??= [];
      if (!this.#met.has(name)) this.#mentions.push(name);
    }
    this.#met.add(name);
    if (this.#met.size > MAX_NAMES) throw tooManyNames(MAX_NAMES);
    if (rule.kind === 'mention') return;
    message.names ??= new Set();
    message.names.add(name);
  }

  /** Puts the look-ups of an ended message into the checking order. */
  place(message: Lookups): void {
    if (message.lookupFrom === undefined && message.withLookup === undefined) return;
    this.#order ??= new CheckingOrder();
    this.#order.add(message);
  }
}
