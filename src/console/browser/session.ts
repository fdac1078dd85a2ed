import type { Session } from '../api.ts';
import { ApiFault, read, send } from './api.ts';

/** The session of this browser, as the server knows it: nothing of it is kept here. */

/** Rejects with `ApiFault`. */
export async function currentSession(): Promise<Session> {
  return (await read(await send('session'))) as Session;
}

/** Rejects with `ApiFault`, whose texts say what to do. */
export async function logIn(key: string): Promise<Session> {
  return (await read(await send('login', { key }))) as Session;
}

/** Ends the session, and says nothing of a session that has ended before. */
export async function logOut(): Promise<void> {
  const answer = await send('logout', {});
  if (!answer.ok && answer.status !== 401)
    throw new ApiFault(answer.status, ['You are still logged in: the gateway did not answer.']);
}
