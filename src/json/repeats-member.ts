import type { JsonReader } from './reader.ts';

/**
 * Reads a value whole. True = an object in it has a member twice; its names count as they read without escapes. Throws where the reader
 * throws, and `RangeError` for a value that is nested deeper than `deepest` below the outermost one.
 *
 * @param deepest default: no bound but the stack
 */
export function repeatsMember(reader: JsonReader, deepest = Number.POSITIVE_INFINITY): boolean {
  if (deepest < 0) throw new RangeError('too deep');
  let repeats = false;
  switch (reader.peek()) {
    case 'object': {
      const names = new Set<string>();
      reader.readObject((name) => {
        repeats = names.has(name) || repeats;
        names.add(name);
        repeats = repeatsMember(reader, deepest - 1) || repeats;
      });
      break;
    }
    case 'array':
      reader.readArray(() => {
        repeats = repeatsMember(reader, deepest - 1) || repeats;
      });
      break;
    default:
      reader.skipValue();
  }
  return repeats;
}
