import { badRequest, type Denial, GrpcCode } from '../../policy/denial.ts';

/** Ours. No byte of the body came for longer than the limit. */
export const BODY_TIMEOUT: Denial = Object.freeze({
  kind: 'denial',
  why: 'request',
  status: 408,
  code: GrpcCode.deadlineExceeded,
  message: 'the request body did not arrive in time',
});

/** Ours. The client stopped in the middle. */
export const CUT_OFF = badRequest('the request body is incomplete');

/** Ours. The client may try again. */
export const NO_ROOM: Denial = Object.freeze({
  kind: 'denial',
  why: 'fault',
  status: 503,
  code: GrpcCode.unavailable,
  message: 'too many large bodies are inspected at the moment',
});
