import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Session } from '../api.ts';
import { problemsOf } from './api.ts';
import { logIn } from './session.ts';
import { button } from './view/buttons.ts';
import { el, use } from './view/dom.ts';
import { textField } from './view/fields.ts';
import { mark } from './view/icons.ts';
import { problemsBox } from './view/parts.ts';

export interface LoginProps {
  readonly oidc: boolean;
  readonly onSession: (session: Session) => void;
}

/** The page of those who are not logged in. */
export function loginPage(props: LoginProps): VNode {
  return el(
    'main',
    { class: 'gate' },
    el(
      'div',
      { class: 'card' },
      el('h1', { class: 'brand' }, mark(), el('span', null, 'Qdrant Gateway', el('small', null, 'Console'))),
      use(LoginForm, props),
    ),
  );
}

/** The form over a page whose session has ended: the page stays as it is. */
export function loginAgain(props: LoginProps): VNode {
  return use(LoginAgain, props);
}

function LoginAgain(props: LoginProps): VNode {
  const own = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    own.current?.showModal();
  }, []);
  return el(
    'dialog',
    { ref: own, 'aria-labelledby': 'login-again', onCancel: (event) => event.preventDefault() },
    el(
      'div',
      { class: 'dialog-in' },
      el('h2', { id: 'login-again' }, 'Log in again'),
      el(
        'p',
        { class: 'muted' },
        'Your session has ended. What you were doing is still here and continues once you have logged in.',
      ),
      use(LoginForm, props),
    ),
  );
}

function LoginForm({ oidc, onSession }: LoginProps): VNode {
  const [key, setKey] = useState('');
  const [busy, setBusy] = useState(false);
  const [problems, setProblems] = useState<readonly string[]>([]);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    if (key === '') {
      setProblems(['Enter a key first.']);
      return;
    }
    setBusy(true);
    try {
      const session = await logIn(key);
      setKey('');
      onSession(session);
    } catch (error) {
      setProblems(problemsOf(error));
    } finally {
      setBusy(false);
    }
  };
  const provider = oidc && [
    el('div', { class: 'or' }, 'or'),
    el(
      'button',
      { type: 'button', class: 'quiet full', onClick: () => location.assign('oidc/start') },
      'Log in with your identity provider',
    ),
  ];
  return el(
    'form',
    { onSubmit: submit },
    textField({
      ...{ label: 'API key', value: key, onText: setKey, type: 'password' },
      hint: 'The admin key of the gateway (full access), or a read-only key to look around. It is sent once and not kept in this browser.',
    }),
    problemsBox(problems),
    button({ text: busy ? 'Logging in' : 'Log in', kind: 'main', submit: true, busy }),
    provider,
  );
}
