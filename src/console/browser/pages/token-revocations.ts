import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type {
  LiftAnswer,
  LiftRequest,
  Revocation,
  Revocations,
  RevokeAnswer,
  RevokeRequest,
  TokenOptions,
} from '../../api/tokens.ts';
import { button } from '../view/buttons.ts';
import { confirmButton } from '../view/confirm.ts';
import { type Child, el, use } from '../view/dom.ts';
import { choiceField, textField } from '../view/fields.ts';
import { useAct, useAsked } from '../view/hooks.ts';
import { card, empty, loading, notice, problemsBox } from '../view/parts.ts';
import { rowOf, tableOf } from '../view/tables.ts';
import { away, clock } from '../view/times.ts';
import { keptText } from './token-revoke.ts';

const EVERY_MS = 5000;
const KINDS = [
  ['subject', 'every token of a subject'],
  ['token', 'one token, by its id (jti)'],
  ['key', 'every token signed with a key'],
  ['before', 'every token issued before a time'],
] as const;

export interface RevocationListProps {
  readonly mayChange: boolean;
  readonly options: TokenOptions;
}

/** The revocations in force, and a form for another one. */
export function RevocationList({ mayChange, options }: RevocationListProps): VNode {
  const { value, problems, again } = useAsked<Revocations>('tokens/revocations', EVERY_MS);
  return el(
    'div',
    { class: mayChange ? 'two wide-left' : 'stack' },
    el(
      'div',
      { class: 'stack' },
      problemsBox(problems, again),
      value?.unknown === true && notice('warn', 'The revocations are unknown, so that every token is refused.'),
      card(undefined, value ? listed(value, mayChange, again) : loading('the revocations')),
    ),
    mayChange && card('Revoke', use(RevokeForm, { options, onDone: again })),
  );
}

const HEADS = ['Revoked', 'When', 'Over', 'Reason'];

function listed({ entries, left_out: left }: Revocations, mayChange: boolean, again: () => void): Child {
  if (entries.length === 0)
    return empty('Nothing is revoked', 'All tokens count until they end. Revoke one here, or where it was made.');
  const rows = entries.map((one) =>
    use(Row, { key: `${one.kind} ${one.value} ${one.subject} ${one.until}`, one, mayChange, again }),
  );
  return [
    tableOf(mayChange ? [...HEADS, 'Change'] : HEADS, rows, 'Revocations in force'),
    left > 0 && el('p', { class: 'hint after' }, `${left} older ones are not shown.`),
  ];
}

interface RowProps {
  readonly one: Revocation;
  readonly mayChange: boolean;
  readonly again: () => void;
}

function Row({ one, mayChange, again }: RowProps): VNode {
  const { kind, value, subject, at, until, reason } = one;
  const { run, busy, problems } = useAct<LiftRequest, LiftAnswer>('tokens/lift');
  const cells: readonly Child[] = [
    meaning(one),
    at === null ? '–' : el('time', { dateTime: at, title: clock(at) }, away(at)),
    until === null ? 'never' : away(until),
    reason ?? '–',
  ];
  const lift = el(
    'div',
    null,
    confirmButton({
      ...{ text: 'Lift', hears: `Lift the revocation of ${meaning(one)}`, kind: 'quiet', busy },
      ...{ question: 'Accept these tokens again?', yes: 'Yes, lift it', no: 'Keep it' },
      onYes: () => void run({ kind, value, ...(subject !== null && { subject }) }).then(again),
    }),
    problemsBox(problems),
  );
  return rowOf(HEADS, cells, mayChange && lift);
}

function meaning({ kind, value, subject }: Revocation): string {
  switch (kind) {
    case 'token':
      return `token ${value}`;
    case 'subject':
      return `tokens of ${value}`;
    case 'key':
      return `tokens signed with ${value}`;
    default:
      return `tokens${subject === null ? '' : ` of ${subject}`} issued before ${clock(value)}`;
  }
}

function RevokeForm({ options, onDone }: { readonly options: TokenOptions; readonly onDone: () => void }): VNode {
  const [kind, setKind] = useState<Revocation['kind']>('subject');
  const [value, setValue] = useState('');
  const [reason, setReason] = useState('');
  const { run, busy, done, problems } = useAct<RevokeRequest, RevokeAnswer>('tokens/revoke');
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const answer = await run({ kind, value, ...(reason !== '' && { reason }) });
    if (!answer) return;
    setValue('');
    onDone();
  };
  const labels = { subject: 'Subject', token: 'Id of the token', key: 'Id of the key', before: 'Time' };
  return el(
    'form',
    { onSubmit: submit },
    choiceField('Refuse from now on', kind, KINDS, (one) => setKind(one as Revocation['kind'])),
    textField({
      ...{ label: labels[kind], value, onText: setValue, mono: true },
      ...(kind === 'before' && { placeholder: '2026-11-30T10:00:00Z' }),
      ...(kind === 'key' && { hint: `Keys that sign here: ${options.signing_keys.join(', ')}` }),
    }),
    textField({ label: 'Reason', value: reason, onText: setReason, hint: 'For those who read the list later.' }),
    problemsBox(problems),
    done && notice('good', `Revoked. ${keptText(done)}`),
    el('div', { class: 'row' }, button({ text: 'Revoke', kind: 'danger', submit: true, busy, disabled: value === '' })),
  );
}
