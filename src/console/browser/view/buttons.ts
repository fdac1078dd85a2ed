import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { classes, el, use } from './dom.ts';
import { type IconName, icon } from './icons.ts';

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
