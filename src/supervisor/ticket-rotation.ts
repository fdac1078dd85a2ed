import type { Fleet } from '../gateway/fleet.ts';

/** Time after which the keys of TLS session tickets are replaced, in milliseconds. */
const EVERY_MS = 3_600_000;

/** Replaces the keys of session tickets every hour, until the function that comes back is called. @param everyMs milliseconds */
export function rotateTicketKeys(fleet: Pick<Fleet, 'renewTicketKeys'>, everyMs = EVERY_MS): () => void {
  const timer = setInterval(() => void fleet.renewTicketKeys(), everyMs).unref();
  return () => clearInterval(timer);
}
