import { arrayOf, type JsonMember, objectOf } from '../../json/assemble.ts';
import { JsonFault } from '../../json/fault.ts';
import { JsonReader } from '../../json/reader.ts';

/**
 * Reading and building of answers for the response filters. Values are carried over as source text, so that numbers keep
 * every digit. Members that the filters do not know are left out.
 */

/** Upstream's answer is not what the filter has to find. The lane answers 502 and shows nothing of the answer. */
export class AnswerFault extends Error {
  override readonly name = 'AnswerFault';
  readonly code = 'ERR_UPSTREAM_ANSWER';
}

/** An answer being read. */
export interface Source {
  readonly reader: JsonReader;
  readonly body: Buffer;
}

/** Reads one value and gives the text to put in its place; `undefined` = leave the member or item out. */
export type Rule = (source: Source) => Buffer | undefined;

export type Rules = ReadonlyMap<string, Rule>;

/** Far more than any answer of Qdrant nests, far less than a stack bears. */
const MAX_ANSWER_DEPTH = 256;

/** The value as it stands. */
export function copy({ reader, body }: Source): Buffer {
  const { start, end } = reader.skipValue();
  return body.subarray(start, end);
}

/** Leaves the value out. */
export function drop({ reader }: Source): undefined {
  reader.skipValue();
  return undefined;
}

/** Reads the whole answer by `rule`; every fault in it becomes an `AnswerFault`. */
export function readAnswer(body: Buffer, rule: Rule): Buffer {
  const reader = new JsonReader(body, { maxDepth: MAX_ANSWER_DEPTH });
  try {
    const text = rule({ reader, body });
    reader.end();
    if (text === undefined) throw new AnswerFault('upstream answer is empty');
    return text;
  } catch (error) {
    if (error instanceof JsonFault) {
      throw new AnswerFault(`upstream answer is not the JSON expected: ${error.message}, byte ${error.offset}`);
    }
    throw error;
  }
}

/** The envelope of every answer with its `result` rebuilt by `rule`. */
export function filterResult(body: Buffer, rule: Rule): Buffer {
  const rules: Rules = new Map([
    ['result', rule],
    ['status', copy],
    ['time', copy],
    ['usage', copy],
  ]);
  return readAnswer(body, (source) => {
    const members = readKnown(source, rules);
    if (!members.some(([key]) => key === 'result')) throw new AnswerFault('upstream answer has no result');
    return objectOf(members);
  });
}

/** The members of an object that `rules` knows and keeps, in source order. A known one given twice is a fault. */
export function readKnown(source: Source, rules: Rules): JsonMember[] {
  const members: JsonMember[] = [];
  const seen = new Set<string>();
  source.reader.readObject((key) => {
    const rule = rules.get(key);
    if (!rule) {
      source.reader.skipValue();
      return;
    }
    if (seen.has(key)) throw new AnswerFault(`upstream answer has \`${key}\` twice`);
    seen.add(key);
    const text = rule(source);
    if (text !== undefined) members.push([key, text]);
  });
  return members;
}

/** An object rebuilt from the members `rules` knows. */
export function keepMembers(rules: Rules): Rule {
  return (source) => objectOf(readKnown(source, rules));
}

/** An object as map by name: the members whose key `listed` accepts. */
export function keepKeys(listed: (key: string) => boolean): Rule {
  return (source) => {
    const members: JsonMember[] = [];
    source.reader.readObject((key) => {
      const value = copy(source);
      if (listed(key)) members.push([key, value]);
    });
    return objectOf(members);
  };
}

/** An array of the items `rule` keeps. */
export function keepItems(rule: Rule): Rule {
  return (source) => {
    const items: Buffer[] = [];
    source.reader.readArray(() => {
      const item = rule(source);
      if (item !== undefined) items.push(item);
    });
    return arrayOf(items);
  };
}

/**
 * An item kept as it stands when each of `fields` is a string that `listed` accepts. An item that is no object, lacks a
 * field or has one twice is left out.
 */
export function keepListed(fields: readonly string[], listed: (name: string) => boolean): Rule {
  return (source) => {
    const { reader, body } = source;
    if (reader.peek() !== 'object') return drop(source);
    const start = reader.position;
    const names = new Map<string, string>();
    let odd = false;
    reader.readObject((key) => {
      if (!fields.includes(key)) {
        reader.skipValue();
      } else if (names.has(key) || reader.peek() !== 'string') {
        odd = true;
        reader.skipValue();
      } else {
        names.set(key, reader.readString());
      }
    });
    if (odd || names.size < fields.length) return undefined;
    for (const name of names.values()) if (!listed(name)) return undefined;
    return body.subarray(start, reader.position);
  };
}
