import { h, render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Session } from '../api.ts';

/** Asks the server of this console. Rejects with the text of its error. */
async function ask<T>(name: string, body?: object): Promise<T> {
  const own = { 'x-qdrant-console': '1' };
  const request: RequestInit = body
    ? { method: 'POST', headers: { ...own, 'content-type': 'application/json' }, body: JSON.stringify(body) }
    : { headers: own };
  const response = await fetch(`api/${name}`, request);
  const answer = (await response.json()) as T & { readonly error?: string };
  if (!response.ok) throw new Error(answer.error ?? String(response.status));
  return answer;
}

/** Signs in and out. */
function App() {
  const [session, setSession] = useState<Session>();
  const [problem, setProblem] = useState('');
  const [key, setKey] = useState('');
  const take = (asked: Promise<Session>): void => {
    asked.then(
      (next) => {
        setSession(next);
        setProblem('');
        setKey('');
      },
      (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)),
    );
  };
  useEffect(() => take(ask<Session>('session')), []);
  if (!session) return h('p', null, problem);
  if (session.signed_in) {
    return h('main', null, [
      h('p', null, `Signed in: ${session.name} (${session.role})`),
      h('button', { type: 'button', onClick: () => take(ask<Session>('logout', {})) }, 'Sign out'),
    ]);
  }
  const submit = (event: Event): void => {
    event.preventDefault();
    take(ask<Session>('login', { key }));
  };
  return h('form', { onSubmit: submit }, [
    h('label', { for: 'key' }, 'Admin key or read-only key'),
    h('input', {
      ...{ id: 'key', type: 'password', autocomplete: 'off', value: key },
      onInput: (event: Event) => setKey((event.target as HTMLInputElement).value),
    }),
    h('button', { type: 'submit' }, 'Sign in'),
    h('p', { role: 'alert' }, problem),
  ]);
}

const root = document.getElementById('app');
if (root) render(h(App, null), root);
