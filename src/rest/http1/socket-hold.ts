import type { Socket } from 'node:net';

/**
 * Holds a socket that others pause and resume for reasons of their own: while it is held nothing is read, whatever they ask
 * for; what they asked for last holds again once it is let go. Node's HTTP/1 parser resumes its socket whenever a body has
 * been taken.
 */
export class SocketHold {
  readonly #socket: Socket;
  readonly #pause: () => Socket;
  readonly #resume: () => Socket;
  #held = false;
  #wanted: boolean;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#pause = socket.pause.bind(socket);
    this.#resume = socket.resume.bind(socket);
    this.#wanted = !socket.isPaused();
    socket.pause = () => {
      this.#wanted = false;
      return this.#pause();
    };
    socket.resume = () => {
      this.#wanted = true;
      return this.#held ? socket : this.#resume();
    };
  }

  /** Holds it, or lets it go. */
  set(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    if (held) this.#pause();
    else if (this.#wanted && !this.#socket.destroyed) this.#resume();
  }
}
