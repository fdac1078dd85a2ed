import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { KeyDetails as Data, KeyAnswer } from '../../api/keys.ts';
import { button, codeBlock } from '../view/buttons.ts';
import { el, use } from '../view/dom.ts';
import { choiceField } from '../view/fields.ts';
import { useAct, useAsked } from '../view/hooks.ts';
import { badge, facts, loading, problemsBox } from '../view/parts.ts';
import { away, clock, count } from '../view/times.ts';

const OVERLAPS = [
  ['24h', 'another day'],
  ['7d', 'another 7 days'],
  ['1h', 'another hour'],
  ['0s', 'not at all'],
] as const;

export interface KeyDetailsProps {
  readonly id: string;
  readonly mayChange: boolean;
  readonly onDone: (answer: KeyAnswer) => void;
}

/** One key in full, and its changes. */
export function KeyDetails({ id, mayChange, onDone }: KeyDetailsProps): VNode {
  const { value: key, problems, again } = useAsked<Data>(`keys/one?id=${encodeURIComponent(id)}`);
  const done = (answer: KeyAnswer): void => {
    again();
    onDone(answer);
  };
  return el(
    'div',
    { class: 'stack' },
    problemsBox(problems, again),
    key ? shown(key) : problems.length === 0 && loading('the key'),
    key && mayChange && use(Changes, { value: key, onDone: done }),
  );
}

function shown(key: Data): VNode {
  const {
    name,
    id,
    state,
    owner,
    access,
    expires_at: end,
    not_before: begin,
    former_until: former,
    networks,
    limits,
    tenant,
    last_used: used,
    last_hour: hour,
  } = key;
  return el(
    'div',
    { class: 'stack' },
    facts([
      ['Name', el('b', null, name)],
      ['Id', el('code', null, id)],
      ['State', badge(state === 'active' ? 'good' : 'warn', state)],
      ['Owner', owner],
      ['Ends', end === null ? 'never' : `${away(end)} (${clock(end)})`],
      ['Begins', begin === null ? undefined : clock(begin)],
      ['Last used', used === null ? 'not seen' : `${away(used)} (${clock(used)})`],
      ['Last hour', hour ? `${count(hour.allowed)} allowed, ${count(hour.denied)} refused` : undefined],
      ['Former text', former === null ? undefined : `accepted until ${clock(former)}`],
      ['Networks', networks?.join(', ')],
      ['Limits', limits?.join(', ')],
      ['Tenant', tenant === null || tenant === undefined ? undefined : JSON.stringify(tenant)],
    ]),
    codeBlock(typeof access === 'string' ? access : JSON.stringify(access, undefined, 2), 'the access'),
  );
}

function Changes({ value, onDone }: { readonly value: Data; readonly onDone: (answer: KeyAnswer) => void }): VNode {
  const [overlap, setOverlap] = useState('24h');
  const [asks, setAsks] = useState<'expire' | 'delete' | undefined>(undefined);
  const { id, state } = value;
  const rotate = useAct<object, KeyAnswer>('keys/rotate');
  const toggle = useAct<object, KeyAnswer>(state === 'disabled' ? 'keys/enable' : 'keys/disable');
  const expire = useAct<object, KeyAnswer>('keys/expire');
  const remove = useAct<object, KeyAnswer>('keys/delete');
  const run = async (act: typeof rotate, body: object): Promise<void> => {
    const answer = await act.run({ id, ...body });
    if (answer) onDone(answer);
  };
  const problems = [rotate, toggle, expire, remove].flatMap((act) => act.problems);
  return el(
    'div',
    { class: 'form' },
    el('h3', null, 'Rotate'),
    el(
      'div',
      { class: 'row bottom' },
      choiceField('Accept the present text for', overlap, OVERLAPS, setOverlap),
      button({ text: 'Rotate', kind: 'main', busy: rotate.busy, onPress: () => void run(rotate, { overlap }) }),
    ),
    el(
      'p',
      { class: 'hint' },
      'The key gets another text. Clients have the overlap to change over; nothing else of the key changes.',
    ),
    el('h3', null, 'End'),
    problemsBox(problems),
    asks === undefined
      ? el(
          'div',
          { class: 'row' },
          button({
            text: state === 'disabled' ? 'Enable' : 'Disable',
            busy: toggle.busy,
            onPress: () => void run(toggle, {}),
          }),
          button({ text: 'End it now', kind: 'danger', onPress: () => setAsks('expire') }),
          button({ text: 'Delete', kind: 'danger', onPress: () => setAsks('delete') }),
        )
      : el(
          'div',
          { class: 'row center' },
          el(
            'span',
            null,
            asks === 'expire' ? 'Refuse this key from now on?' : 'Delete this key, and all that is kept of it?',
          ),
          button({
            ...{
              text: asks === 'expire' ? 'Yes, end it' : 'Yes, delete it',
              kind: 'danger',
              busy: expire.busy || remove.busy,
            },
            onPress: () => void run(asks === 'expire' ? expire : remove, {}).then(() => setAsks(undefined)),
          }),
          button({ text: 'Keep it', kind: 'plain', onPress: () => setAsks(undefined) }),
        ),
  );
}
