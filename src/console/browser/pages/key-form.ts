import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { KeyAnswer, KeyCreate, KeyOptions } from '../../api/keys.ts';
import { button } from '../view/buttons.ts';
import { el } from '../view/dom.ts';
import { choiceField, segments, textField } from '../view/fields.ts';
import { type Grant, grantFields } from '../view/grants.ts';
import { useAct } from '../view/hooks.ts';
import { problemsBox } from '../view/parts.ts';

const LIVES = [
  ['30d', '30 days'],
  ['90d', '90 days'],
  ['180d', '180 days'],
  ['365d', '1 year'],
  ['never', 'never'],
] as const;

export interface KeyFormProps {
  readonly options: KeyOptions;
  readonly onDone: (answer: KeyAnswer) => void;
}

/** The form for a new named key. */
export function KeyForm({ options, onDone }: KeyFormProps): VNode {
  const [name, setName] = useState('');
  const [owner, setOwner] = useState('');
  const [kind, setKind] = useState('collections');
  const [grants, setGrants] = useState<readonly Grant[]>([{ collection: '', access: 'r' }]);
  const [life, setLife] = useState('90d');
  const [networks, setNetworks] = useState('');
  const [limit, setLimit] = useState('');
  const [tenant, setTenant] = useState('');
  const { run, busy, problems } = useAct<KeyCreate, KeyAnswer>('keys/create');
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const from = networks.split(/[\s,]+/).filter((one) => one !== '');
    const answer = await run({
      ...{ name, access: kind === 'collections' ? grants : kind, expires_at: life },
      ...(owner !== '' && { owner }),
      ...(from.length > 0 && { networks: from }),
      ...(limit !== '' && { limits: [limit] }),
      ...(tenant !== '' && { tenant }),
    });
    if (answer) onDone(answer);
  };
  return el(
    'form',
    { onSubmit: submit },
    el(
      'div',
      { class: 'row' },
      textField({
        label: 'Name',
        value: name,
        onText: setName,
        placeholder: 'search-service',
        hint: 'Shown in Audit.',
      }),
      textField({
        label: 'Owner',
        value: owner,
        onText: setOwner,
        placeholder: 'team-search',
        hint: 'Whom to ask about it.',
      }),
    ),
    segments(
      'What it may do',
      kind,
      [
        ['collections', 'Some collections'],
        ['r', 'Read everything'],
        ['m', 'Everything'],
      ],
      setKind,
    ),
    kind === 'collections' &&
      grantFields({ label: 'Collections, or beginnings of names such as team-a-*', grants, onChange: setGrants }),
    el(
      'div',
      { class: 'row' },
      choiceField('Ends after', life, LIVES, setLife),
      options.limits.length > 0 &&
        choiceField(
          'Limit of the policy',
          limit,
          [['', 'none'], ...options.limits.map((id) => [id, id] as const)],
          setLimit,
        ),
    ),
    textField({
      label: 'Only from these networks',
      value: networks,
      onText: setNetworks,
      placeholder: '10.0.0.0/8, 192.0.2.7',
      mono: true,
      hint: 'Addresses or ranges. Empty: from everywhere.',
    }),
    options.tenants &&
      textField({
        label: 'Tenant',
        value: tenant,
        onText: setTenant,
        hint: 'The policy shows the key only points of this tenant.',
      }),
    problemsBox(problems),
    el(
      'div',
      { class: 'row' },
      button({ text: busy ? 'Making the key' : 'Make the key', kind: 'main', submit: true, busy }),
    ),
  );
}
