import type { VNode } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { type Child, el, use } from './dom.ts';
import { icon } from './icons.ts';

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
