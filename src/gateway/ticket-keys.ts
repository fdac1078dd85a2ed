import { randomBytes } from 'node:crypto';
import type { State } from '../config/state.ts';

/** Size required by `node:tls`. */
const TICKET_KEY_BYTES = 48;

/**
 * The keys that seal TLS session tickets in all serving processes: random, in memory only, and replaced from time to time. Node
 * opens tickets with one key only, so a ticket of the keys before leads to a full handshake.
 */
export class TicketKeys {
  #current = randomBytes(TICKET_KEY_BYTES);

  /** 48 bytes. */
  get current(): Buffer {
    return this.#current;
  }

  /** From now on there are others. */
  renew(): Buffer {
    this.#current = randomBytes(TICKET_KEY_BYTES);
    return this.#current;
  }

  /**
   * Another state is to be in force. INVARIANT: tickets are void after a change of the client CA or of revocation lists: a resumed
   * session shows no certificate again, and the one in its ticket was verified under those before.
   */
  changing(before: State, after: State): void {
    if (!sameTrust(before, after)) this.renew();
  }
}

/** The state with the keys of session tickets. */
export function withTicketKeys(state: State, { current }: TicketKeys): State {
  const { secrets } = state;
  return secrets.tls ? { ...state, secrets: { ...secrets, tls: { ...secrets.tls, ticketKeys: current } } } : state;
}

function sameTrust({ secrets: left }: State, { secrets: right }: State): boolean {
  const caOf = ({ tls }: typeof left) => tls?.clientCa ?? tls?.grpcClientCa ?? tls?.identities?.ca;
  const listsOf = ({ tls }: typeof left) => tls?.identities?.crl;
  return sameBytes(caOf(left), caOf(right)) && sameBytes(listsOf(left), listsOf(right));
}

function sameBytes(before: Buffer | null | undefined, after: Buffer | null | undefined): boolean {
  return before && after ? before.equals(after) : !before && !after;
}
