/** The shape of a JSON value, as far as the official client's declarations tell it. */
export type Shape =
  | { readonly kind: 'any' | 'null' | 'string' | 'boolean' }
  | { readonly kind: 'number'; readonly integer: boolean; readonly least: number | undefined }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'array'; readonly of: Shape }
  | { readonly kind: 'tuple'; readonly of: readonly Shape[] }
  | { readonly kind: 'union' | 'both'; readonly of: readonly Shape[] }
  | { readonly kind: 'ref'; readonly name: string }
  | { readonly kind: 'object'; readonly fields: ReadonlyMap<string, Field>; readonly rest: Shape | undefined };

/** One member of an object. */
export type Field = { readonly shape: Shape; readonly optional: boolean };

const TOKEN = /\/\*\*(.*?)\*\/|"((?:[^"\\]|\\.)*)"|([A-Za-z_$][\w$]*)|(-?\d+(?:\.\d+)?)|(\S)/gs;

type Token = { readonly kind: 'comment' | 'text' | 'word' | 'number' | 'mark'; readonly text: string };

function tokensOf(source: string): Token[] {
  return [...source.matchAll(TOKEN)].map(([, comment, text, word, number, mark]): Token => {
    if (comment !== undefined) return { kind: 'comment', text: comment };
    if (text !== undefined) return { kind: 'text', text: text.replace(/\\(.)/g, '$1') };
    if (word !== undefined) return { kind: 'word', text: word };
    return number === undefined ? { kind: 'mark', text: mark ?? '' } : { kind: 'number', text: number };
  });
}

const END: Token = { kind: 'mark', text: '' };
const ANY: Shape = { kind: 'any' };
const NULL: Shape = { kind: 'null' };

/**
 * Reads the types of a declaration file made by openapi-typescript: object literals, unions, arrays, tuples, `OneOf`,
 * `Record` and paths such as `components["schemas"]["X"]`, which become `ref` with the last name. A number is whole where
 * its comment names a whole format. Throws on anything else.
 */
export class ShapeReader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(source: string) {
    this.#tokens = tokensOf(source);
  }

  /** The body of `export interface NAME`. */
  interface(name: string): Shape {
    const at = this.#tokens.findIndex(
      ({ text }, i) => text === 'interface' && this.#tokens[i + 1]?.text === name && this.#tokens[i + 2]?.text === '{',
    );
    if (at === -1) throw new Error(`no interface ${name}`);
    this.#at = at + 2;
    return this.#type('');
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? END;
  }

  #next(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }

  #take(text: string): boolean {
    const { kind, text: found } = this.#peek();
    const is = kind === 'mark' && found === text;
    if (is) this.#at += 1;
    return is;
  }

  #expect(text: string): void {
    const { text: found } = this.#peek();
    if (!this.#take(text)) throw new Error(`declarations: ${text} expected, ${found} found (token ${this.#at})`);
  }

  #comment(): string {
    let comment = '';
    while (this.#peek().kind === 'comment') comment = this.#next().text;
    return comment;
  }

  #type(comment: string): Shape {
    const of = [this.#both(comment)];
    while (this.#take('|')) of.push(this.#both(comment));
    const [only] = of;
    if (of.length === 1 && only !== undefined) return only;
    // `X | (Record<string, unknown> | null)` is how the generator writes that X may be null.
    const isNull = (shape: Shape) =>
      shape.kind === 'union' && shape.of.length === 2 && shape.of[0]?.kind === 'any' && shape.of[1]?.kind === 'null';
    return { kind: 'union', of: of.map((shape) => (isNull(shape) ? NULL : shape)) };
  }

  #both(comment: string): Shape {
    const of = [this.#many(comment)];
    while (this.#take('&')) of.push(this.#many(comment));
    return of.length === 1 ? (of[0] ?? ANY) : { kind: 'both', of };
  }

  #many(comment: string): Shape {
    let shape = this.#one(comment);
    while (this.#peek().text === '[' && this.#peek().kind === 'mark') {
      this.#at += 1;
      if (this.#take(']')) {
        shape = { kind: 'array', of: shape };
      } else {
        shape = { kind: 'ref', name: this.#next().text };
        this.#expect(']');
      }
    }
    return shape;
  }

  #one(before: string): Shape {
    const comment = this.#comment() || before;
    const { kind, text } = this.#next();
    if (kind === 'text') return { kind: 'literal', value: text };
    if (kind === 'number') return { kind: 'literal', value: Number(text) };
    if (kind === 'word') return this.#named(text, comment);
    if (text === '{') return this.#object();
    if (text === '[') return { kind: 'tuple', of: this.#list(']') };
    if (text !== '(') throw new Error(`declarations: ${text} where a type was expected (token ${this.#at})`);
    const inner = this.#type(comment);
    this.#expect(')');
    return inner;
  }

  #named(word: string, comment: string): Shape {
    switch (word) {
      case 'string':
      case 'boolean':
      case 'null':
        return { kind: word };
      case 'number': {
        const format = /Format: (\w+)/.exec(comment)?.[1] ?? '';
        return { kind: 'number', integer: /^u?int/.test(format), least: format.startsWith('uint') ? 0 : undefined };
      }
      case 'true':
      case 'false':
        return { kind: 'literal', value: word === 'true' };
      case 'OneOf': {
        this.#expect('<');
        const [tuple] = this.#list('>');
        return tuple?.kind === 'tuple' ? { kind: 'union', of: tuple.of } : ANY;
      }
      case 'Record':
        this.#expect('<');
        this.#list('>');
        return ANY;
      case 'unknown':
      case 'never':
      case 'undefined':
        return ANY;
      default:
        return { kind: 'ref', name: word };
    }
  }

  #list(end: string): Shape[] {
    const list: Shape[] = [];
    while (!this.#take(end)) {
      list.push(this.#type(''));
      this.#take(',');
      this.#comment();
    }
    return list;
  }

  #object(): Shape {
    const fields = new Map<string, Field>();
    let rest: Shape | undefined;
    for (let comment = this.#comment(); !this.#take('}'); comment = this.#comment()) {
      if (this.#take('[')) {
        // `[key: string]: T | undefined`
        for (const part of ['key', ':', 'string']) if (this.#next().text !== part) throw new Error('index signature');
        this.#expect(']');
        this.#expect(':');
        const of = this.#type(comment);
        rest = of.kind === 'union' ? { kind: 'union', of: of.of.filter(({ kind }) => kind !== 'any') } : of;
      } else {
        const name = this.#next().text;
        const optional = this.#take('?') || comment.includes('@default');
        this.#expect(':');
        fields.set(name, { shape: this.#type(comment), optional });
      }
      this.#take(';');
    }
    return { kind: 'object', fields, rest };
  }
}
