import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Minted, MintRequest, TokenOptions } from '../../api/tokens.ts';
import { button } from '../view/buttons.ts';
import { el } from '../view/dom.ts';
import { choiceField, segments, textField } from '../view/fields.ts';
import { type Grant, grantFields } from '../view/grants.ts';
import { useAct } from '../view/hooks.ts';
import { problemsBox } from '../view/parts.ts';

interface Draft {
  readonly kind: 'collections' | 'r' | 'm';
  readonly grants: readonly Grant[];
  readonly life: string;
  readonly subject: string;
  readonly signer: string;
  readonly claims: Readonly<Record<string, string>>;
  readonly existsIn: string;
  readonly existsKey: string;
  readonly existsValue: string;
}

const LIVES = [
  ['1h', '1 hour'],
  ['1d', '1 day'],
  ['7d', '7 days'],
  ['30d', '30 days'],
  ['90d', '90 days'],
  ['365d', '1 year'],
] as const;
const NEVER = ['', 'never'] as const;

export interface MintFormProps {
  readonly options: TokenOptions;
  readonly onMinted: (minted: Minted) => void;
}

/** The form for a new token. */
export function MintForm({ options, onMinted }: MintFormProps): VNode {
  const [draft, setDraft] = useState<Draft>({
    ...{ kind: 'collections', grants: [{ collection: '', access: 'r' }], life: '7d', subject: '', signer: '' },
    ...{ claims: {}, existsIn: '', existsKey: '', existsValue: '' },
  });
  const minting = useAct<MintRequest, Minted>('tokens/mint');
  const change = (part: Partial<Draft>): void => setDraft((old) => ({ ...old, ...part }));
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const minted = await minting.run(requestOf(draft));
    if (minted) onMinted(minted);
  };
  const lives = LIVES.filter(([text]) => options.max_lifetime === null || secondsOf(text) <= options.max_lifetime);
  return el(
    'form',
    { onSubmit: submit },
    el('h2', null, 'Make a token'),
    segments(
      'What it may do',
      draft.kind,
      [
        ['collections', 'Some collections'],
        ['r', 'Read everything'],
        ...(options.refuse_manage ? [] : ([['m', 'Everything']] as const)),
      ],
      (kind) => change({ kind: kind as Draft['kind'] }),
    ),
    draft.kind === 'collections' &&
      grantFields({
        label: options.patterns ? 'Collections, or beginnings of names such as team-a-*' : 'Collections',
        grants: draft.grants,
        onChange: (all) => change({ grants: all }),
        names: options.collections,
      }),
    draft.kind === 'm' &&
      el(
        'p',
        { class: 'hint' },
        'Such a token may create and delete collections, like the admin key. Prefer some collections.',
      ),
    el(
      'div',
      { class: 'row' },
      textField({
        label: 'For whom',
        value: draft.subject,
        onText: (subject) => change({ subject }),
        placeholder: 'search-service',
        hint: 'Shown in Audit, and good for revoking.',
      }),
      choiceField('Ends after', draft.life, [...lives, ...(options.require_exp ? [] : [NEVER])], (life) =>
        change({ life }),
      ),
    ),
    options.tenant_claims.map((claim) =>
      textField({
        ...{ label: claim === 'tenant' ? 'Tenant' : `Tenant (${claim})`, value: draft.claims[claim] ?? '' },
        onText: (text) => change({ claims: { ...draft.claims, [claim]: text } }),
        hint: 'The policy shows the holder only points of this tenant.',
      }),
    ),
    more(draft, options, change),
    problemsBox(minting.problems),
    el(
      'div',
      { class: 'row' },
      button({
        text: minting.busy ? 'Making the token' : 'Make the token',
        kind: 'main',
        submit: true,
        busy: minting.busy,
      }),
    ),
  );
}

function more(draft: Draft, options: TokenOptions, change: (part: Partial<Draft>) => void): VNode {
  return el(
    'details',
    null,
    el('summary', null, 'More: valid only while a point exists, signing key'),
    el(
      'div',
      { class: 'form' },
      el(
        'p',
        { class: 'hint' },
        'With value_exists, the token is refused once no point in a collection has this value: deleting the user’s point locks the user out.',
      ),
      el(
        'div',
        { class: 'row' },
        textField({
          label: 'Collection',
          value: draft.existsIn,
          onText: (existsIn) => change({ existsIn }),
          placeholder: 'users',
        }),
        textField({
          label: 'Field',
          value: draft.existsKey,
          onText: (existsKey) => change({ existsKey }),
          placeholder: 'id',
        }),
        textField({
          label: 'Value',
          value: draft.existsValue,
          onText: (existsValue) => change({ existsValue }),
          placeholder: '17 or alice',
        }),
      ),
      options.signing_keys.length > 1 &&
        choiceField(
          'Signed with',
          draft.signer,
          options.signing_keys.map((id, at) => [at === 0 ? '' : id, at === 0 ? `${id} (default)` : id]),
          (signer) => change({ signer }),
        ),
    ),
  );
}

function requestOf({
  kind,
  grants: all,
  life,
  subject,
  signer,
  claims,
  existsIn,
  existsKey,
  existsValue,
}: Draft): MintRequest {
  const given = Object.entries(claims).filter(([, text]) => text !== '');
  return {
    ...(kind === 'collections' ? { collections: all } : { access: kind }),
    ...(life !== '' && { exp: life }),
    ...(subject !== '' && { subject }),
    ...(signer !== '' && { signing_key: signer }),
    ...(given.length > 0 && { claims: Object.fromEntries(given) }),
    ...(existsIn !== '' && {
      value_exists: { collection: existsIn, matches: [{ key: existsKey, value: scalarOf(existsValue) }] },
    }),
  };
}

/** Whole numbers and booleans as such, like Qdrant compares them. */
function scalarOf(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

function secondsOf(text: string): number {
  const unit = text.endsWith('h') ? 3600 : 86_400;
  return Number.parseInt(text, 10) * unit;
}
