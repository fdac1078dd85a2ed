import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { RevokeAnswer, RevokeRequest } from '../../api/tokens.ts';
import { el } from '../view/dom.ts';
import { useAct } from '../view/hooks.ts';
import { button, notice, problemsBox } from '../view/parts.ts';

/** A button that revokes a token by its id, after a second press. */
export function RevokeToken({ id }: { readonly id: string }): VNode {
  const [asks, setAsks] = useState(false);
  const { run, busy, done, problems } = useAct<RevokeRequest, RevokeAnswer>('tokens/revoke');
  if (done) return notice('good', `Revoked. Requests with it are refused from now on. ${keptText(done)}`);
  const revoke = (): void => void run({ kind: 'token', value: id, reason: 'revoked in the console' });
  return el(
    'div',
    { class: 'form' },
    problemsBox(problems),
    asks
      ? el(
          'div',
          { class: 'row center' },
          el('span', null, 'Refuse this token from now on?'),
          button({ text: 'Yes, revoke it', kind: 'danger', small: true, busy, onPress: revoke }),
          button({ text: 'Keep it', kind: 'plain', small: true, onPress: () => setAsks(false) }),
        )
      : el(
          'div',
          { class: 'row' },
          button({ text: 'Revoke this token', kind: 'danger', small: true, onPress: () => setAsks(true) }),
        ),
  );
}

/** Where a revocation is kept, and what the gateway says to it. */
export function keptText({ stored, warnings }: RevokeAnswer): string {
  const kept =
    stored === 'memory'
      ? 'It is kept in memory until the gateway restarts: set gateway.revocation.file to keep revocations.'
      : '';
  return [kept, ...warnings].filter(Boolean).join(' ');
}
