import { badRequest, type Denial } from '../denial.ts';

/**
 * A component of dots and blanks alone: `.` and `..`, and what Windows takes for them. Slashes, backslashes and NUL end a
 * component.
 */
const DOTS = /(?:^|[/\\\0]) *\.[. ]*(?:$|[/\\\0])/;

/** Most characters of a name in a text. */
const SHOWN = 255;

/**
 * True = upstream before Qdrant v1.19.1 may leave a folder by this name of a collection, an alias, a vector or a snapshot
 * (GHSA-jwrp-6pff-wg9c).
 */
export function isDotName(name: string): boolean {
  // Nearly all names have no dot.
  return name.includes('.') && DOTS.test(name);
}

/** The gateway's own text. @param place where the name stands. Upstream: refuses such names of collections with a text of its own since Qdrant v1.19.1. */
export function dotNameRefused(name: string, place: 'body' | 'path' = 'body'): Denial {
  const shown = JSON.stringify(name.slice(0, SHOWN));
  const message = `Validation error in ${place}: [name: ${shown} cannot name a collection, an alias, a vector or a snapshot]`;
  return badRequest('invalid_collection_name', message);
}
