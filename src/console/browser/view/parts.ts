import type { VNode } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { type Child, classes, el, use } from './dom.ts';
import { type IconName, icon } from './icons.ts';

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

/** A label over a control, with a hint below it. The control gets the id. */
export function field(
  label: string,
  control: (id: string, described: string | undefined) => VNode,
  hint?: Child,
): VNode {
  return use(Field, { label, control, hint });
}

interface FieldProps {
  readonly label: string;
  readonly control: (id: string, described: string | undefined) => VNode;
  readonly hint: Child;
}

function Field({ label, control, hint }: FieldProps): VNode {
  const id = useId();
  const told = hint ? `${id}-hint` : undefined;
  return el(
    'div',
    { class: 'field' },
    el('label', { for: id }, label),
    control(id, told),
    told !== undefined && el('p', { id: told, class: 'hint' }, hint),
  );
}

export interface TextProps {
  readonly label: string;
  readonly value: string;
  readonly onText: (text: string) => void;
  readonly hint?: Child;
  readonly placeholder?: string;
  readonly list?: string;
  readonly mono?: boolean;
  readonly type?: 'text' | 'password' | 'search';
}

/** A line of text with its label. */
export function textField({ label, value, onText, hint, placeholder, list, mono, type = 'text' }: TextProps): VNode {
  return field(
    label,
    (id, described) =>
      el('input', {
        ...{ id, type, value, class: mono ? 'mono' : '', autocomplete: 'off', spellcheck: false },
        ...(described !== undefined && { 'aria-describedby': described }),
        ...(placeholder !== undefined && { placeholder }),
        ...(list !== undefined && { list }),
        onInput: (event) => onText(event.currentTarget.value),
      }),
    hint,
  );
}

/** Several lines of text with their label. */
export function areaField({ label, value, onText, hint, rows }: TextProps & { readonly rows: number }): VNode {
  return field(
    label,
    (id, described) =>
      el('textarea', {
        ...{ id, rows, value, class: 'mono', autocomplete: 'off', spellcheck: false, wrap: 'off' },
        ...(described !== undefined && { 'aria-describedby': described }),
        onInput: (event) => onText(event.currentTarget.value),
      }),
    hint,
  );
}

export type Choice = readonly [value: string, text: string];

/** A list to choose one of. */
export function choiceField(
  label: string,
  value: string,
  choices: readonly Choice[],
  onChoice: (value: string) => void,
  hint?: Child,
): VNode {
  return field(
    label,
    (id, described) =>
      el(
        'select',
        {
          id,
          value,
          onChange: (event) => onChoice(event.currentTarget.value),
          ...(described !== undefined && { 'aria-describedby': described }),
        },
        choices.map(([one, text]) => el('option', { value: one, selected: one === value }, text)),
      ),
    hint,
  );
}

/** A few choices side by side. */
export function segments(
  label: string,
  value: string,
  choices: readonly Choice[],
  onChoice: (value: string) => void,
): VNode {
  return use(Segments, { label, value, choices, onChoice });
}

interface SegmentsProps {
  readonly label: string;
  readonly value: string;
  readonly choices: readonly Choice[];
  readonly onChoice: (value: string) => void;
}

function Segments({ label, value, choices, onChoice }: SegmentsProps): VNode {
  const name = useId();
  return el(
    'fieldset',
    { class: 'segments' },
    el('legend', null, label),
    el(
      'div',
      null,
      choices.map(([one, text]) =>
        el(
          'label',
          { class: one === value ? 'on' : '' },
          el('input', { type: 'radio', name, value: one, checked: one === value, onChange: () => onChoice(one) }),
          text,
        ),
      ),
    ),
  );
}

interface ButtonProps {
  readonly text: string;
  readonly onPress?: () => void;
  readonly kind?: 'main' | 'quiet' | 'danger' | 'plain';
  readonly symbol?: IconName;
  readonly busy?: boolean;
  readonly small?: boolean;
  readonly submit?: boolean;
  readonly disabled?: boolean;
  readonly hears?: string;
}

/** A button. Without `onPress` it sends its form. */
export function button({
  text,
  onPress,
  kind = 'quiet',
  symbol,
  busy = false,
  small = false,
  submit,
  disabled,
  hears,
}: ButtonProps): VNode {
  return el(
    'button',
    {
      type: submit ? 'submit' : 'button',
      class: classes(kind, small && 'small', busy && 'busy'),
      disabled: disabled === true,
      'aria-busy': busy,
      ...(hears !== undefined && { 'aria-label': hears }),
      ...(onPress && { onClick: onPress }),
    },
    symbol && icon(symbol),
    el('span', null, text),
  );
}

/** A button that copies a text, and says so. */
export function copyButton(text: string, what: string): VNode {
  return use(CopyButton, { text, what });
}

function CopyButton({ text, what }: { readonly text: string; readonly what: string }): VNode {
  const [state, setState] = useState<'' | 'done' | 'failed'>('');
  useEffect(() => {
    if (state === '') return undefined;
    const timer = setTimeout(() => setState(''), 2500);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = (): void => void copyText(text).then((done) => setState(done ? 'done' : 'failed'));
  const shown = state === 'done' ? 'Copied' : state === 'failed' ? 'Select and copy by hand' : 'Copy';
  return el(
    'button',
    { type: 'button', class: 'quiet small copy', onClick: copy, 'aria-label': `${shown} ${what}` },
    icon(state === 'done' ? 'check' : 'copy'),
    el('span', { 'aria-live': 'polite' }, shown),
  );
}

/** The clipboard is for secure pages only: over plain HTTP the text is selected in a field and copied. */
async function copyText(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not allowed here.
    }
  }
  const area = document.createElement('textarea');
  area.value = text;
  area.setAttribute('aria-hidden', 'true');
  area.className = 'unseen';
  const host = document.querySelector('dialog[open]') ?? document.body;
  host.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}

/** Code to copy. */
export function codeBlock(text: string, what: string): VNode {
  return el('div', { class: 'code' }, el('pre', { tabIndex: 0, 'aria-label': what }, text), copyButton(text, what));
}

export type Tone = 'good' | 'bad' | 'warn' | 'plain' | 'accent';

/** A word with a tone. */
export function badge(tone: Tone, text: string): VNode {
  return el('span', { class: `badge ${tone}` }, text);
}

export interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: Child;
  /** At the side, with room for much. */
  readonly drawer?: boolean;
}

/** A dialog over the page; Escape closes it, and the focus returns. */
export function dialog(props: DialogProps): VNode {
  return use(Dialog, props);
}

function Dialog({ title, onClose, children, drawer }: DialogProps): VNode {
  const own = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    own.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return el(
    'dialog',
    {
      ref: own,
      class: drawer ? 'drawer' : '',
      'aria-labelledby': id,
      onClose,
      onClick: (event) => {
        if (event.target === own.current) own.current?.close();
      },
    },
    el(
      'div',
      { class: 'dialog-in' },
      el(
        'header',
        null,
        el('h2', { id }, title),
        el(
          'button',
          { type: 'button', class: 'plain icon-only', 'aria-label': 'Close', onClick: () => own.current?.close() },
          icon('close'),
        ),
      ),
      children,
    ),
  );
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

/** A table; on a narrow screen each row becomes a list of names and values. */
export function table(heads: readonly string[], rows: readonly (readonly Child[])[], caption?: string): VNode {
  const shown = rows.map((cells) =>
    el(
      'tr',
      null,
      cells.map((cell, at) => el('td', { 'data-name': heads[at] ?? '' }, cell)),
    ),
  );
  return tableOf(heads, shown, caption);
}

/** A table of rows that are made already. */
export function tableOf(heads: readonly string[], rows: readonly VNode[], caption?: string): VNode {
  return el(
    'div',
    { class: 'table' },
    el(
      'table',
      { class: 'rows' },
      caption !== undefined && el('caption', { class: 'unseen' }, caption),
      el(
        'thead',
        null,
        el(
          'tr',
          null,
          heads.map((head) => el('th', { scope: 'col' }, head)),
        ),
      ),
      el('tbody', null, rows),
    ),
  );
}

/** Pages of a page: one is shown. */
export function tabs(
  label: string,
  value: string,
  choices: readonly Choice[],
  onChoice: (value: string) => void,
): VNode {
  const move = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    const next = choices[(choices.findIndex(([one]) => one === value) + step + choices.length) % choices.length];
    if (step === 0 || !next || !(event.currentTarget instanceof HTMLElement)) return;
    onChoice(next[0]);
    event.currentTarget.querySelector<HTMLElement>(`[data-tab="${next[0]}"]`)?.focus();
  };
  return el(
    'div',
    { class: 'tabs', role: 'tablist', 'aria-label': label, onKeyDown: move },
    choices.map(([one, text]) =>
      el(
        'button',
        {
          type: 'button',
          role: 'tab',
          'data-tab': one,
          'aria-selected': one === value,
          tabIndex: one === value ? 0 : -1,
          onClick: () => onChoice(one),
        },
        text,
      ),
    ),
  );
}
