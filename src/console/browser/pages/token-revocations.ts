import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Revocation, Revocations, RevokeAnswer, RevokeRequest, TokenOptions } from '../../api/tokens.ts';
import { type Child, el, use } from '../view/dom.ts';
import { useAct, useAsked } from '../view/hooks.ts';
import { button, card, choiceField, empty, loading, notice, problemsBox, table, textField } from '../view/parts.ts';
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
      card(undefined, value ? listed(value) : loading('the revocations')),
    ),
    mayChange && card('Revoke', use(RevokeForm, { options, onDone: again })),
  );
}

function listed({ entries, left_out: left }: Revocations): Child {
  if (entries.length === 0)
    return empty('Nothing is revoked', 'All tokens count until they end. Revoke one here, or where it was made.');
  const rows = entries.map((one) => [
    meaning(one),
    one.at === null ? '–' : el('time', { dateTime: one.at, title: clock(one.at) }, away(one.at)),
    one.until === null ? 'never' : away(one.until),
    one.reason ?? '–',
  ]);
  return [
    table(['Revoked', 'When', 'Over', 'Reason'], rows, 'Revocations in force'),
    left > 0 && el('p', { class: 'hint after' }, `${left} older ones are not shown.`),
  ];
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
