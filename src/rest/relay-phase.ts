/**
 * Where a client connection of the relay stands:
 *
 * - `head`: waits for a request, or has a part of its head
 * - `deciding`: a request's credential is being looked up; nothing of it has been used
 * - `holding`: its body is waited for, to be looked at before anything is sent
 * - `relaying`: it is upstream's; its body and the answer pass
 * - `skipping`: it is answered, the rest of its short body is dropped
 * - `lingering`: it is answered and the last; what still comes is dropped so that the answer is not lost in a reset
 * - `over`: the socket is closed, closing or handed over
 */
export type Phase = 'head' | 'deciding' | 'holding' | 'relaying' | 'skipping' | 'lingering' | 'over';

export const NEVER = Number.POSITIVE_INFINITY;
/** Bytes of later requests that are taken from a client which does not wait for its answers. */
export const BACKLOG = 65_536;
/**
 * Milliseconds after which a client that has closed its writing half is probed (TCP keep-alive). A client that has left
 * altogether looks the same until its host has forgotten the connection (Linux: after 60 s, and every earlier probe would
 * put that off); then the probe is answered with a reset. The first byte of an answer is so at any time.
 */
export const PROBE_AFTER_MS = 65_000;
