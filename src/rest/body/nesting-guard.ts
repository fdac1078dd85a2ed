import { nestsWithin } from '../../json/depth.ts';
import type { Intake } from '../http1/intake.ts';
import type { PlainHead } from '../http1/request-head.ts';

/*
 * Upstream reads JSON bodies before it checks access, and ends when one nests deeply enough. So every body it would
 * parse is measured before its last byte is sent on, below global manage.
 */

/** A plain body up to this size is measured whole, so that nothing of a refused one goes upstream. */
export const WHOLE_BYTES = 65_536;

/**
 * Of a body that lies whole behind its head in the intake, where it lies: small requests are many, and a view on each costs
 * more than this.
 */
export function heldNestsWithin(
  { source, start }: Pick<Intake, 'source' | 'start'>,
  { length, contentLength }: Pick<PlainHead, 'length' | 'contentLength'>,
  maxDepth: number,
): boolean {
  const from = start + length;
  return nestsWithin(source, from, from + contentLength, maxDepth);
}
