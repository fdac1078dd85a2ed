import { JsonFault } from '../../../json/fault.ts';
import { JsonReader } from '../../../json/reader.ts';
import type { Denial } from '../../../policy/denial.ts';
import { type Facts, FactTally, newPart, type Part, type PartKind } from '../../../policy/search/facts.ts';
import { badBody, type InspectionLimits } from '../inspect.ts';
import { expectObject, ShapeFault } from '../inspect-references.ts';
import { readFilter, readFormula } from './filter.ts';
import { readFlag, readFloat, readWhole, skipVector } from './numbers.ts';
import { BODY_FORMS, type Rule, type Shape } from './shapes.ts';

/**
 * The numbers of a decoded JSON body, or why it cannot be read: 400 in upstream's words.
 *
 * INVARIANT: a number that upstream would take is read as upstream reads it, or refused. So a known member that stands twice is
 * refused, a struct is an object and never the array of its fields, and a whole number is written without a fraction or an
 * exponent; upstream refuses the others, too, but for the arrays.
 *
 * @param name of the operation's row; `undefined` = it has no such body
 */
export function readFacts(name: string, body: Buffer, { maxDepth }: InspectionLimits): Facts | Denial | undefined {
  const form = Object.hasOwn(BODY_FORMS, name) ? BODY_FORMS[name] : undefined;
  if (!form) return undefined;
  try {
    const reader = new JsonReader(body, { maxDepth });
    const facts = new FactReader(reader, body);
    facts.part(form.part, form.shape);
    reader.end();
    return facts.tally.facts;
  } catch (error) {
    if (error instanceof JsonFault || error instanceof ShapeFault) return badBody(body, error);
    throw error;
  }
}

class FactReader {
  readonly tally = new FactTally();
  readonly #reader: JsonReader;
  readonly #body: Buffer;

  constructor(reader: JsonReader, body: Buffer) {
    this.#reader = reader;
    this.#body = body;
  }

  part(kind: PartKind, shape: Shape): void {
    const part = newPart(kind);
    this.#members(part, shape);
    this.tally.add(part);
  }

  #members(part: Part, shape: Shape): void {
    const reader = this.#reader;
    const seen = new Set<string>();
    expectObject(reader, 'a request');
    reader.readObject((key) => {
      const rule = shape.get(key);
      if (!rule) {
        reader.skipValue();
        return;
      }
      const field = (rule.kind === 'number' && rule.field) || key;
      if (seen.has(field)) throw new ShapeFault(`duplicate field \`${field}\``, reader.position);
      seen.add(field);
      if (reader.peek() === 'null') reader.readNull();
      else this.#member(part, rule);
    });
  }

  /** A member that is not null. Upstream: null is as if it were not given, or refused. */
  #member(part: Part, rule: Rule): void {
    const reader = this.#reader;
    switch (rule.kind) {
      case 'number':
        part[rule.slot] = readWhole(reader);
        break;
      case 'float':
        part[rule.slot] = readFloat(reader);
        break;
      case 'exact':
        part.exact = readFlag(reader);
        break;
      case 'items':
        this.#items(part, rule);
        break;
      case 'filter':
        if (rule.selects) part.filters += 1;
        readFilter(reader, part, 1);
        break;
      case 'one':
        part[rule.counter] += 1;
        reader.skipValue();
        break;
      case 'inside':
        if (rule.named && reader.peek() === 'string') reader.readString();
        else this.#members(part, rule.shape);
        break;
      case 'query':
        part.queried = true;
        this.#query(part, rule.shape);
        break;
      case 'formula':
        readFormula(reader, part);
        break;
      case 'parts':
        this.#parts(rule);
        break;
      default:
        rule satisfies never;
    }
  }

  #query(part: Part, shape: Shape): void {
    const reader = this.#reader;
    const kind = reader.peek();
    if (kind === 'object') this.#members(part, shape);
    else if (kind === 'array') skipVector(reader, this.#body);
    else reader.skipValue();
  }

  #items(part: Part, { counter, loose }: Extract<Rule, { kind: 'items' }>): void {
    const reader = this.#reader;
    const kind = reader.peek();
    if (kind !== 'array') {
      if (!loose) throw new ShapeFault(`invalid type: ${kind}, expected a sequence`, reader.position);
      reader.skipValue();
      part[counter] += 1;
      return;
    }
    reader.readArray(() => {
      reader.skipValue();
      part[counter] += 1;
    });
  }

  #parts({ part, shape }: Extract<Rule, { kind: 'parts' }>): void {
    if (this.#reader.peek() !== 'array') this.part(part, shape());
    else this.#reader.readArray(() => this.part(part, shape()));
  }
}
