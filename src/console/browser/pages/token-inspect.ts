import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Inspected } from '../../api/tokens.ts';
import { button, codeBlock } from '../view/buttons.ts';
import { el, use } from '../view/dom.ts';
import { areaField } from '../view/fields.ts';
import { useAct } from '../view/hooks.ts';
import { card, empty, facts, lines, notice, problemsBox } from '../view/parts.ts';
import { RevokeToken } from './token-revoke.ts';

/** A token that is pasted: its content, and the verdict of this gateway. */
export function InspectToken({ mayChange }: { readonly mayChange: boolean }): VNode {
  const [token, setToken] = useState('');
  const { run, busy, done, problems } = useAct<{ token: string }, Inspected>('tokens/inspect');
  const submit = (event: Event): void => {
    event.preventDefault();
    void run({ token });
  };
  return el(
    'div',
    { class: 'two' },
    card(
      undefined,
      el(
        'form',
        { onSubmit: submit },
        areaField({
          label: 'Token',
          value: token,
          onText: setToken,
          rows: 6,
          hint: 'With or without Bearer. It is sent to this gateway alone, and not kept.',
        }),
        problemsBox(problems),
        el(
          'div',
          { class: 'row' },
          button({
            text: busy ? 'Reading' : 'Inspect',
            kind: 'main',
            submit: true,
            busy,
            disabled: token.trim() === '',
          }),
        ),
      ),
    ),
    done
      ? result(done, mayChange)
      : card(
          undefined,
          empty('Paste a token', 'You see what it says, whether this gateway accepts it, and if not, why.'),
        ),
  );
}

function result(token: Inspected, mayChange: boolean): VNode {
  const { accepted, verdict, code, means, remedy, tenants } = token;
  return card(
    'Verdict',
    el(
      'div',
      { class: 'stack' },
      notice(accepted ? 'good' : 'warn', verdict),
      facts([
        ['Code', code],
        ['Means', means],
        ['What to do', remedy],
        ['Ends', token.expiry],
        ['Issued', token.issued],
        ['Signed', token.signature],
        ['Id', token.id],
        ['Tenants', lines(tenants)],
      ]),
      codeBlock(JSON.stringify(token.claims, undefined, 2), 'the claims'),
      mayChange && token.token_id !== null && use(RevokeToken, { key: token.token_id, id: token.token_id }),
    ),
  );
}
