import { JsonFault } from '../../json/fault.ts';
import { JsonReader } from '../../json/reader.ts';
import type { Denial } from '../../policy/denial.ts';
import { dotNameRefused, isDotName } from '../../policy/names/dot-names.ts';
import { badBody, type InspectionLimits } from './inspect.ts';

/** The member of a new collection that holds what the caller likes. */
const FREE = 'metadata';

/**
 * Refuses a body with a dot name in any key or string, whatever the form its structs are written in; and one that cannot be
 * read. `undefined` = there is none.
 */
export function refuseDotNames(body: Buffer, limits: InspectionLimits): Denial | undefined {
  const reader = new JsonReader(body, { maxDepth: limits.maxDepth });
  try {
    const found = find(reader, true);
    reader.end();
    return found === undefined ? undefined : dotNameRefused(found);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    return badBody(body, error);
  }
}

/** The first dot name in the next value. @param top of the whole body */
function find(reader: JsonReader, top: boolean): string | undefined {
  let found: string | undefined;
  switch (reader.peek()) {
    case 'object':
      reader.readObject((key) => {
        if (isDotName(key)) found ??= key;
        if (top && key === FREE) reader.skipValue();
        else found = find(reader, false) ?? found;
      });
      return found;
    case 'array':
      reader.readArray(() => {
        found = find(reader, false) ?? found;
      });
      return found;
    case 'string': {
      const text = reader.readString();
      return isDotName(text) ? text : undefined;
    }
    default:
      reader.skipValue();
      return undefined;
  }
}
