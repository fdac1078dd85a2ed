/** How long, and how far, an unread body is still taken in, so that the client gets to see the answer. */
export const LINGER_MS = 1_000;
export const LINGER_BYTES = 1_048_576;
/** A body up to this size is read to its end, so that its connection can go on. */
export const SHORT_BODY = 65_536;
/** The rest of such a body is not waited for again. */
export const TIMED_OUT = 408;
