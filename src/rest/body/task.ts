import { nestsWithin } from '../../json/depth.ts';
import { JsonFault } from '../../json/fault.ts';
import { JsonReader } from '../../json/reader.ts';
import type { References } from '../../policy/decide.ts';
import { badRequest, type Denial, URL_RECOVERY_DISABLED } from '../../policy/denial.ts';
import type { InspectorName } from '../../policy/operation.ts';
import { canNameNothing, type InspectionLimits, inspectBody } from './inspect.ts';

/** What is to be told of a whole, decoded body. Plain data: it may be done in another thread. */
export type BodyTask =
  /** Which other collections it names; measures its nesting, too. */
  | { readonly kind: 'names'; readonly inspector: InspectorName; readonly limits: InspectionLimits }
  /** Whether it nests more deeply than allowed. */
  | { readonly kind: 'depth'; readonly maxDepth: number }
  /** Whether a snapshot would be fetched from somewhere. */
  | { readonly kind: 'location' };

/** What came of it: names, a refusal, or nothing to object to. */
export type BodyFinding = References | Denial | undefined;

/** Ours. Upstream would not bear it. */
export const TOO_DEEP = badRequest('nesting', 'the body nests too deeply');

/** Different collections that one body may name. */
const MAX_NAMES = 10_000;
const TOO_MANY_NAMES = badRequest('too_many_names', `the body names more than ${MAX_NAMES} collections`);
const NOTHING_NAMED: References = Object.freeze({ others: Object.freeze([]) });

/** Pure. May throw on a fault of ours. */
export function runBodyTask(task: BodyTask, body: Buffer): BodyFinding {
  switch (task.kind) {
    case 'names':
      return findNames(task.inspector, body, task.limits);
    case 'depth':
      return nestsWithin(body, 0, body.length, task.maxDepth) ? undefined : TOO_DEEP;
    case 'location':
      return checkLocation(body);
    default:
      return task satisfies never;
  }
}

function findNames(inspector: InspectorName, body: Buffer, limits: InspectionLimits): References | Denial {
  if (canNameNothing(body)) return nestsWithin(body, 0, body.length, limits.maxDepth) ? NOTHING_NAMED : TOO_DEEP;
  const found = inspectBody(inspector, body, limits);
  if ('kind' in found || found.others.length < 2) return found;
  // Each is checked once, in the order of its first place.
  const others = new Set(found.others);
  return others.size > MAX_NAMES ? TOO_MANY_NAMES : { others: [...others] };
}

/**
 * Upstream: whatever parses as a URL with one of these schemes, blanks and control bytes aside. Other locations are paths, or
 * refused by upstream itself (Qdrant v1.19.0, `recover_shard_snapshot`).
 */
const REMOTE = /^https?:/i;

/** Only an object whose every `location` is no remote URL passes; what cannot be read is refused. */
function checkLocation(body: Buffer): Denial | undefined {
  try {
    const reader = new JsonReader(body);
    reader.readObject((key) => {
      if (key !== 'location') reader.skipValue();
      else if (reader.peek() !== 'string' || REMOTE.test(withoutBlanks(reader.readString()))) {
        throw new JsonFault('syntax', 'location', reader.position);
      }
    });
    reader.end();
    return undefined;
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    return URL_RECOVERY_DISABLED;
  }
}

/** Readers of URLs leave out blanks and control bytes, some at the ends and some everywhere. */
function withoutBlanks(text: string): string {
  return [...text].filter((char) => char > ' ').join('');
}
