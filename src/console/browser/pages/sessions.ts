import type { VNode } from 'preact';
import type { EndSession, SessionList, SessionRow } from '../../api/sessions.ts';
import type { PageProps } from '../place.ts';
import { confirmButton } from '../view/confirm.ts';
import { type Child, el, use } from '../view/dom.ts';
import { useAct, useAsked } from '../view/hooks.ts';
import { badge, card, loading, pageHead, problemsBox } from '../view/parts.ts';
import { rowOf, tableOf } from '../view/tables.ts';
import { away, clock } from '../view/times.ts';

const EVERY_MS = 5000;
const HEADS = ['Who', 'Role', 'From', 'Since', 'Last seen', 'Ends'];

/** The open sessions; each can be ended alone. */
export function Sessions({ session }: PageProps): VNode {
  const { value, problems, again } = useAsked<SessionList>('sessions', EVERY_MS);
  const mayEnd = session.role === 'full';
  return el(
    'div',
    { class: 'stack' },
    pageHead(
      'Sessions',
      'All who are logged in to this console. A session that you end is over with its next request.',
    ),
    problemsBox(problems, again),
    card(undefined, value ? listed(value, mayEnd, again) : problems.length === 0 && loading('the sessions')),
  );
}

function listed({ sessions }: SessionList, mayEnd: boolean, again: () => void): Child {
  const rows = sessions.map((one) => use(Row, { key: one.id, one, mayEnd, again }));
  return tableOf(mayEnd ? [...HEADS, 'Change'] : HEADS, rows, 'Open sessions');
}

interface RowProps {
  readonly one: SessionRow;
  readonly mayEnd: boolean;
  readonly again: () => void;
}

function openedBy({ kind, key, name }: SessionRow): string {
  if (kind === 'person') return 'by the identity provider';
  if (kind === 'token') return `by a token of key ${key}`;
  return key === name ? 'by its key' : `by key ${key}`;
}

function Row({ one, mayEnd, again }: RowProps): VNode {
  const { id, name, role, remote, since, last_seen: seen, expires_at: end, own } = one;
  const { run, busy, problems } = useAct<EndSession, object>('sessions/end');
  const time = (iso: string): VNode => el('time', { dateTime: iso, title: clock(iso) }, away(iso));
  const cells: readonly Child[] = [
    el(
      'div',
      null,
      el('b', null, name),
      own && [' ', badge('accent', 'this browser')],
      el('div', { class: 'hint' }, openedBy(one)),
    ),
    role === 'full' ? 'full' : 'read-only',
    remote,
    time(since),
    time(seen),
    time(end),
  ];
  const ends = el(
    'div',
    null,
    confirmButton({
      ...{ text: 'End', hears: `End the session of ${name}`, busy, yes: 'Yes, end it', no: 'Keep it' },
      question: own ? 'End your own session?' : 'Log this person out?',
      onYes: () => void run({ id }).then(again),
    }),
    problemsBox(problems),
  );
  return rowOf(HEADS, cells, mayEnd && ends);
}
