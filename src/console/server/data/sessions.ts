import { z } from 'zod';
import type { SessionList } from '../../api/sessions.ts';
import { type DataAnswer, type DataCall, type DataRow, ok, problem } from './row.ts';
import { issueText } from './tokens.ts';

const endSchema = z.strictObject({ id: z.string().min(1).max(64) });

/** The page Sessions. */
export const sessionRows: readonly DataRow[] = [
  { method: 'GET', name: 'sessions', role: 'read', answer: (call) => ok(listOf(call)) },
  { method: 'POST', name: 'sessions/end', role: 'full', answer: end },
];

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

function listOf({ sessions, own }: DataCall): SessionList {
  return {
    sessions: sessions
      .list()
      .map(({ id, caller: { name, kind, keyId, role, remote }, openedAt, seenAt, expiresAt }) => ({
        ...{ id, name, kind, key: keyId, role, remote, own: id === own },
        ...{ since: iso(openedAt), last_seen: iso(seenAt), expires_at: iso(expiresAt) },
      })),
  };
}

function end({ sessions, body, act }: DataCall): DataAnswer {
  const asked = endSchema.safeParse(body);
  if (!asked.success) return problem(400, issueText(asked.error));
  const { id } = asked.data;
  const caller = sessions.end(id);
  if (!caller) {
    act({ method: 'gateway_console_session_end', result: 'failed' });
    return problem(404, 'This session has ended already.');
  }
  act({ method: 'gateway_console_session_end', session: { id, name: caller.name }, result: 'ok' });
  return ok({});
}
