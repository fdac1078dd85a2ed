import type { SecureContext } from 'node:tls';
import { type Clients, openConnection, type Slot, secureContextOf, type Target, Told } from './clients.ts';
import { AnswerReader } from './rest-clients.ts';

/** The session that a slot resumes. `undefined` = none is ever resumed, null = none is there yet. */
type Session = { latest: Buffer | null } | undefined;

/** What is wrong with how a connection began; null = nothing. */
function faultOf(reused: boolean, session: Session): string | null {
  if (reused === Boolean(session?.latest)) return null;
  return reused ? 'a session was resumed' : 'a session was not resumed';
}

/** One request on a connection of its own: null, or what went wrong. Never rejects. */
async function once(
  port: number,
  context: SecureContext,
  request: Buffer,
  reader: AnswerReader,
  session: Session,
): Promise<string | null> {
  try {
    const socket = await openConnection(port, context, null, session?.latest ?? undefined);
    const fault = faultOf(socket.isSessionReused(), session);
    if (fault !== null) {
      socket.destroy();
      return fault;
    }
    return await new Promise((resolve) => {
      socket.on('error', () => socket.destroy());
      socket.on('close', () => resolve('the connection was closed before the answer'));
      if (session) {
        socket.once('session', (given: Buffer) => {
          session.latest = given;
        });
      }
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

/** How many connections at a time, and whether each resumes the session of the one before it. */
export type Handshakes = { readonly slots: number; readonly resumed: boolean };

/** Slots that open a TLS connection for each request and close it after the answer. */
export function tlsClients(
  target: Target,
  request: Buffer,
  answerBytes: number,
  { slots, resumed }: Handshakes,
): Clients {
  const told = new Told();
  const context = secureContextOf(target);
  const newSlot = (): Slot => {
    const session: Session = resumed ? { latest: null } : undefined;
    const slot: Slot = {
      send: () => {
        void once(target.port, context, request, new AnswerReader(answerBytes), session).then((fault) =>
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
