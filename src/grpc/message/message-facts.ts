import {
  type Counter,
  type Facts,
  FactTally,
  newPart,
  type Part,
  type PartKind,
  type Slot,
} from '../../policy/search/facts.ts';

/**
 * The meaning of a message's presence.
 * - `opens`: it is a part of its own
 * - `counts`: one more of these
 * - `query`: its part has a query
 * - `filter`: its conditions are those of a filter; `selects`: of points that are to be changed
 * - `condition`: counts as the conditions inside it, and at least as one
 */
export type Tells =
  | { readonly kind: 'opens'; readonly part: PartKind }
  | { readonly kind: 'counts'; readonly counter: Counter }
  | { readonly kind: 'query' }
  | { readonly kind: 'filter'; readonly selects: boolean }
  | { readonly kind: 'condition' };

/**
 * The numbers of one message while it is scanned. Of a number that occurs twice the last one counts, also where prost merges
 * two occurrences of its message; what is counted is added up.
 */
export class MessageFacts {
  readonly #tally = new FactTally();
  /** Open parts, the innermost last. */
  readonly #parts: [Part, ...Part[]];
  /** Conditions of the part when each open condition began. */
  readonly #before: number[] = [];
  #filters = 0;

  /** @param whole the part that the whole message is */
  constructor(whole: PartKind) {
    this.#parts = [newPart(whole)];
  }

  get #part(): Part {
    return this.#parts.at(-1) ?? this.#parts[0];
  }

  enter(tells: Tells): void {
    const part = this.#part;
    switch (tells.kind) {
      case 'opens':
        this.#parts.push(newPart(tells.part));
        break;
      case 'counts':
        part[tells.counter] += 1;
        break;
      case 'query':
        part.queried = true;
        break;
      case 'filter':
        if (tells.selects) part.filters += 1;
        this.#filters += 1;
        part.filterDepth = Math.max(part.filterDepth, this.#filters);
        break;
      case 'condition':
        this.#before.push(part.conditions);
        break;
      default:
        tells satisfies never;
    }
  }

  close({ kind }: Tells): void {
    if (kind === 'filter') this.#filters -= 1;
    else if (kind === 'condition') {
      const before = this.#before.pop();
      if (this.#part.conditions === before) this.#part.conditions += 1;
    } else if (kind === 'opens' && this.#parts.length > 1) {
      const part = this.#parts.pop();
      if (part) this.#tally.add(part);
    }
  }

  number(slot: Slot, value: number): void {
    this.#part[slot] = value;
  }

  exact(exact: boolean): void {
    this.#part.exact = exact;
  }

  /** The numbers of the complete message. Called once. */
  finish(): Facts {
    this.#tally.add(this.#parts[0]);
    return this.#tally.facts;
  }
}
