import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Minted, TokenOptions } from '../../api/tokens.ts';
import { type PageProps, parametersOf } from '../place.ts';
import { el, use } from '../view/dom.ts';
import { useAsked } from '../view/hooks.ts';
import { card, empty, loading, notice, pageHead, problemsBox } from '../view/parts.ts';
import { tabs } from '../view/tabs.ts';
import { InspectToken } from './token-inspect.ts';
import { MintForm } from './token-mint.ts';
import { Minted as MintedView } from './token-minted.ts';
import { RevocationList } from './token-revocations.ts';

const VIEWS = [
  ['mint', 'Make a token'],
  ['inspect', 'Inspect a token'],
  ['revocations', 'Revocations'],
] as const;

/** Tokens: made, read and revoked. */
export function Tokens({ session, place }: PageProps): VNode {
  const { value: options, problems, again } = useAsked<TokenOptions>('tokens/options');
  const mayChange = session.role === 'full';
  const views = mayChange ? VIEWS : VIEWS.filter(([one]) => one !== 'mint');
  const [view, setView] = useState<string>(parametersOf(place).get('view') ?? views[0]?.[0] ?? '');
  const [minted, setMinted] = useState<readonly Minted[]>([]);
  const [newest] = minted;
  const shown = (): VNode | null => {
    if (!options) return problems.length > 0 ? null : card(undefined, loading('the settings', 4));
    if (view === 'inspect') return use(InspectToken, { mayChange });
    if (view === 'revocations') return use(RevocationList, { mayChange, options });
    if (!options.on) return card(undefined, tokensOff());
    return el(
      'div',
      { class: 'two' },
      card(undefined, use(MintForm, { options, onMinted: (one: Minted) => setMinted((old) => [one, ...old]) })),
      newest
        ? use(MintedView, { key: newest.id, minted: newest, options, earlier: minted.slice(1) })
        : card(undefined, howItWorks()),
    );
  };
  return el(
    'div',
    null,
    pageHead(
      'Tokens',
      'A token says what its holder may do, until when, and needs no change of the configuration. Any Qdrant client takes it as its API key.',
    ),
    problemsBox(problems, again),
    !mayChange &&
      el(
        'div',
        { class: 'stack' },
        notice(
          'info',
          'You are logged in read-only: you can inspect tokens. To make or revoke them, log in with the admin key.',
        ),
        el('span'),
      ),
    tabs('Tokens', view, views, setView),
    shown(),
  );
}

function tokensOff(): VNode {
  return empty('This gateway takes no tokens', [
    'Set ',
    el('code', null, 'service.jwt_rbac: true'),
    ' and ',
    el('code', null, 'service.api_key'),
    ', which signs them. Without tokens, give each client a named key on the page Keys.',
  ]);
}

function howItWorks(): VNode {
  const steps = [
    ['Choose', 'what the token may do, and when it ends. Less is better: one collection, a few days.'],
    ['Make it', 'The token is shown here once, with commands to try it at once.'],
    ['Watch it', 'The page Audit shows each request with it, allowed or refused.'],
    ['Revoke it', 'when it is not needed any more, or has leaked: it is refused from then on.'],
  ];
  return el(
    'div',
    null,
    el('h2', null, 'From nothing to a scoped key'),
    el(
      'ol',
      { class: 'steps' },
      steps.map(([head, text]) => el('li', null, el('b', null, head), ' ', text)),
    ),
  );
}
