import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CredentialGuessing } from '../limits/credential-guessing.ts';

const guesses = new WeakMap<Socket, CredentialGuessing>();

/** Waits before a wrong credential is answered, as the REST port does: 50 on a connection come at once, then 50 a second. */
export async function slowed(socket: Socket): Promise<void> {
  const own = guesses.get(socket) ?? new CredentialGuessing();
  guesses.set(socket, own);
  const waitMs = own.refused(performance.now());
  if (waitMs > 0) await sleep(waitMs, undefined, { ref: false });
}
