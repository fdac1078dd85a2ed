import type { SecureContext } from 'node:tls';
import { type Clients, openConnection, type Slot, secureContextOf, type Target, Told } from './clients.ts';
import { AnswerReader } from './rest-clients.ts';

/** One request on a connection of its own: null, or what went wrong. Never rejects. */
async function once(
  port: number,
  context: SecureContext,
  request: Buffer,
  reader: AnswerReader,
): Promise<string | null> {
  try {
    const socket = await openConnection(port, context, null);
    if (socket.isSessionReused()) {
      socket.destroy();
      return 'a session was resumed';
    }
    return await new Promise((resolve) => {
      socket.on('error', () => socket.destroy());
      socket.on('close', () => resolve('the connection was closed before the answer'));
      socket.on('data', (chunk: Buffer) => {
        const answer = reader.take(chunk);
        if (answer === undefined) return;
        resolve(answer.fault);
        socket.destroy();
      });
      socket.write(request);
    });
  } catch (error) {
    return error instanceof Error ? error.message : 'cannot connect';
  }
}

/** Slots that open a TLS connection for each request (full handshake, no session is resumed) and close it after the answer. */
export function tlsClients(target: Target, request: Buffer, answerBytes: number, slots: number): Clients {
  const told = new Told();
  const context = secureContextOf(target);
  const newSlot = (): Slot => {
    const slot: Slot = {
      send: () => {
        void once(target.port, context, request, new AnswerReader(answerBytes)).then((fault) =>
          told.events.answered(slot, fault),
        );
      },
    };
    return slot;
  };
  return {
    slots: Array.from({ length: slots }, newSlot),
    listen: (events) => {
      told.events = events;
    },
    close: () => {
      told.events = { answered: () => undefined, lost: () => undefined };
    },
  };
}
