/** Whether a connection has shown a good credential. */
export class Standing {
  #isKnown = false;

  /** A credential on the connection was good. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  known(): void {
    this.#isKnown = true;
  }
}

const standings = new WeakMap<object, Standing>();

/** The standing of a connection. @param socket of TLS, where there is TLS */
export function standingOf(socket: object): Standing {
  const known = standings.get(socket);
  if (known) return known;
  const standing = new Standing();
  standings.set(socket, standing);
  return standing;
}
