import type { NoMemory } from '../../limits/memory-budget.ts';
import { badRequest, type Denial, denial, GrpcCode } from '../../policy/denial.ts';

/** Ours. No byte of the body came for longer than the limit. */
export const BODY_TIMEOUT = denial(
  'body_timeout',
  408,
  GrpcCode.deadlineExceeded,
  'the request body did not arrive in time',
);

/** Ours. The client stopped in the middle. */
export const CUT_OFF = badRequest('body_incomplete', 'the request body is incomplete');

/** Ours. The client may try again. */
export const NO_ROOM = denial(
  'bodies_busy',
  503,
  GrpcCode.unavailable,
  'too many large bodies are inspected at the moment',
);

/** The refusal of a body for which there is no memory. */
export function noMemory(reason: NoMemory): Denial {
  return reason === 'late' ? BODY_TIMEOUT : NO_ROOM;
}
