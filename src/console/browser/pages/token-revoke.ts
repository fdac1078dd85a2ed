import type { VNode } from 'preact';
import type { RevokeAnswer, RevokeRequest } from '../../api/tokens.ts';
import { confirmButton } from '../view/confirm.ts';
import { el } from '../view/dom.ts';
import { useAct } from '../view/hooks.ts';
import { notice, problemsBox } from '../view/parts.ts';

/** A button that revokes a token by its id, after a second press. */
export function RevokeToken({ id }: { readonly id: string }): VNode {
  const { run, busy, done, problems } = useAct<RevokeRequest, RevokeAnswer>('tokens/revoke');
  if (done) return notice('good', `Revoked. Requests with it are refused from now on. ${keptText(done)}`);
  return el(
    'div',
    { class: 'form' },
    problemsBox(problems),
    confirmButton({
      ...{ text: 'Revoke this token', busy, question: 'Refuse this token from now on?' },
      ...{ yes: 'Yes, revoke it', no: 'Keep it' },
      onYes: () => void run({ kind: 'token', value: id, reason: 'revoked in the console' }),
    }),
  );
}

/** Warnings of the gateway about a revocation, as sentences; empty = it is kept. */
export function keptText({ warnings }: RevokeAnswer): string {
  return warnings.map((one) => `${one.charAt(0).toUpperCase()}${one.slice(1).replaceAll('`', '')}.`).join(' ');
}
