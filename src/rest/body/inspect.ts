import { JsonFault } from '../../json/fault.ts';
import { JsonReader } from '../../json/reader.ts';
import { skipWhite } from '../../json/scan.ts';
import type { References } from '../../policy/decide.ts';
import { badRequest, type Denial } from '../../policy/denial.ts';
import type { InspectorName, ManagedInspectorName } from '../../policy/operation.ts';
import { readAliasChanges, readCreation } from './inspect-managed.ts';
import { type BodyShape, readBatch, readRequest, ShapeFault } from './inspect-references.ts';

/** Limits of nesting. */
export interface InspectionLimits {
  /** Objects and arrays in each other. */
  readonly maxDepth: number;
  /** Prefetches in each other. Default 32: upstream's process ends at some 50 levels, before its access check. */
  readonly maxPrefetchDepth?: number;
}

const DEFAULT_PREFETCH_DEPTH = 32;

/** Reads one body for names; throws a `JsonFault` or `ShapeFault`. */
type Inspector = (reader: JsonReader, maxPrefetchDepth: number) => readonly string[];

const LOOKUP: BodyShape = { lookup: true, prefetch: false, groups: false };
const QUERY: BodyShape = { lookup: true, prefetch: true, groups: false };

/** One inspector per name: a shape without one does not compile. */
const INSPECTORS: Readonly<Record<InspectorName | ManagedInspectorName, Inspector>> = {
  recommend: single(LOOKUP),
  'recommend-batch': batch(LOOKUP),
  'recommend-groups': single({ ...LOOKUP, groups: true }),
  discover: single(LOOKUP),
  'discover-batch': batch(LOOKUP),
  query: single(QUERY),
  'query-batch': batch(QUERY),
  'query-groups': single({ ...QUERY, groups: true }),
  'search-groups': single({ lookup: false, prefetch: false, groups: true }),
  'create-collection': readCreation,
  'change-aliases': readAliasChanges,
};

/** True = a body of whole collections; `canNameNothing` does not know its keys. */
export function isManaged(name: InspectorName | ManagedInspectorName): name is ManagedInspectorName {
  return name === 'create-collection' || name === 'change-aliases';
}

/**
 * The other collections a decoded JSON body names, or why it cannot be read: 400 in upstream's words.
 *
 * Only objects are accepted where upstream reads a struct (and a string for `with_lookup`): an array form would carry a
 * name past the check. Keys are compared after unescaping; unknown keys are passed over; a known key given twice is
 * refused.
 */
export function inspectBody(
  name: InspectorName | ManagedInspectorName,
  body: Buffer,
  limits: InspectionLimits,
): References | Denial {
  try {
    const depth = limits.maxPrefetchDepth ?? DEFAULT_PREFETCH_DEPTH;
    const reader = new JsonReader(body, { maxDepth: limits.maxDepth });
    const others = INSPECTORS[name](reader, depth);
    reader.end();
    return { others };
  } catch (error) {
    if (error instanceof JsonFault || error instanceof ShapeFault) return badBody(body, error);
    throw error;
  }
}

const OPEN_OBJECT = 0x7b;
/** Without one of these a body can hold no key under which a name, or a batch of requests, could stand. */
const NAMING = ['lookup', 'prefetch', 'searches', '\\u'].map((text) => Buffer.from(text, 'latin1'));

/**
 * True when a decoded body certainly names no other collection, told without parsing it.
 *
 * INVARIANT: never true for a body in which `inspectBody` finds a name. A name stands under `lookup_from`, `with_lookup`
 * or inside `prefetch`, in a request or in the `searches` of a batch; only a backslash-u escape can write these keys
 * otherwise; a struct without keys is an array, which at the top does not begin with `{` and further inside stands
 * under one of these keys. What is malformed is left to upstream to refuse.
 */
export function canNameNothing(body: Buffer): boolean {
  if (body[skipWhite(body, 0)] !== OPEN_OBJECT) return false;
  return NAMING.every((text) => body.indexOf(text) < 0);
}

function single(shape: BodyShape): Inspector {
  return (reader, maxPrefetchDepth) => readRequest(reader, shape, maxPrefetchDepth);
}

function batch(shape: BodyShape): Inspector {
  return (reader, maxPrefetchDepth) => readBatch(reader, shape, maxPrefetchDepth);
}

/** Upstream: `Format error in JSON body: ... at line 1 column 12`, lines and bytes counted from one. */
export function badBody(
  body: Buffer,
  fault: Pick<JsonFault | ShapeFault, 'message' | 'offset'>,
  code: 'malformed_body' | 'tenant_form' = 'malformed_body',
): Denial {
  const before = body.subarray(0, fault.offset);
  let line = 1;
  let start = 0;
  for (let at = before.indexOf(0x0a); at >= 0; at = before.indexOf(0x0a, at + 1)) {
    line += 1;
    start = at + 1;
  }
  return badRequest(
    code,
    `Format error in JSON body: ${fault.message} at line ${line} column ${fault.offset - start + 1}`,
  );
}
