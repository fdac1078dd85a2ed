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

  /** Another state is to be in force. INVARIANT: tickets are void after a change of the client CA: resumed sessions carry no certificate. */
  changing(before: State, after: State): void {
    if (!sameCa(before, after)) this.renew();
  }
}

/** The state with the keys of session tickets. */
export function withTicketKeys(state: State, { current }: TicketKeys): State {
  const { secrets } = state;
  return secrets.tls ? { ...state, secrets: { ...secrets, tls: { ...secrets.tls, ticketKeys: current } } } : state;
}

function sameCa({ secrets: left }: State, { secrets: right }: State): boolean {
  const caOf = ({ tls }: typeof left): Buffer | null | undefined => tls?.clientCa ?? tls?.grpcClientCa;
  const [before, after] = [caOf(left), caOf(right)];
  return before === after || Boolean(before && after?.equals(before));
}
