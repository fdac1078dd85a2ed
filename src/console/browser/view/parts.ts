import type { VNode } from 'preact';
import { type Child, el } from './dom.ts';
import { icon } from './icons.ts';

/** The heading of a page, with a sentence and what can be done there. */
export function pageHead(title: string, sentence: string, ...actions: readonly Child[]): VNode {
  return el(
    'header',
    { class: 'page-head' },
    el('div', null, el('h1', { tabIndex: -1 }, title), el('p', null, sentence)),
    actions.length > 0 && el('div', { class: 'actions' }, actions),
  );
}

/** A panel with a heading. */
export function card(title: string | undefined, ...children: readonly Child[]): VNode {
  return el('section', { class: 'card' }, title !== undefined && el('h2', null, title), children);
}

/** Problems in place; nothing without any. */
export function problemsBox(problems: readonly string[], again?: () => void): VNode | null {
  if (problems.length === 0) return null;
  const list =
    problems.length === 1
      ? el('p', null, problems[0])
      : el(
          'ul',
          null,
          problems.map((one) => el('li', null, one)),
        );
  const retry = again && el('button', { type: 'button', class: 'quiet small', onClick: again }, 'Try again');
  return el('div', { class: 'notice bad', role: 'alert' }, icon('warn'), el('div', null, list), retry);
}

/** A remark beside what it is about. */
export function notice(kind: 'info' | 'warn' | 'good', ...children: readonly Child[]): VNode {
  return el(
    'div',
    { class: `notice ${kind}`, role: 'status' },
    icon(kind === 'good' ? 'check' : 'warn'),
    el('div', null, children),
  );
}

/** The words in the place of what is not there yet: what that means, and what to do next. */
export function empty(title: string, sentence: Child, action?: Child): VNode {
  return el('div', { class: 'empty' }, el('h3', null, title), el('p', null, sentence), action);
}

/** Lines in the place of what is still coming. */
export function loading(what: string, lines = 3): VNode {
  return el(
    'div',
    { class: 'loading', role: 'status' },
    el('span', { class: 'unseen' }, `Loading ${what}`),
    Array.from({ length: lines }, () => el('div', { class: 'bone', 'aria-hidden': 'true' })),
  );
}

export type Tone = 'good' | 'bad' | 'warn' | 'plain' | 'accent';

/** A word with a tone. */
export function badge(tone: Tone, text: string): VNode {
  return el('span', { class: `badge ${tone}` }, text);
}

/** Texts, each on a line of its own. */
export function lines(texts: readonly string[]): Child {
  return texts.length === 0 ? undefined : texts.map((text) => el('div', null, text));
}

/** Names and values. */
export function facts(rows: readonly (readonly [name: string, value: Child])[]): VNode {
  return el(
    'dl',
    { class: 'facts' },
    rows
      .filter(([, value]) => value !== undefined && value !== null && value !== false && value !== '')
      .map(([name, value]) => el('div', null, el('dt', null, name), el('dd', null, value))),
  );
}
