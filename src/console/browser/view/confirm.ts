import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { button } from './buttons.ts';
import { el, use } from './dom.ts';

export interface ConfirmProps {
  readonly text: string;
  /** Heard in the place of `text`, where several buttons have the same one. */
  readonly hears?: string;
  readonly question: string;
  readonly yes: string;
  readonly no: string;
  readonly kind?: 'danger' | 'quiet';
  readonly busy: boolean;
  readonly onYes: () => void;
}

/** A button that acts after a second press, on another button. */
export function confirmButton(props: ConfirmProps): VNode {
  return use(Confirm, props);
}

function Confirm({ text, hears, question, yes, no, kind = 'danger', busy, onYes }: ConfirmProps): VNode {
  const own = useRef<HTMLDivElement>(null);
  const [asks, setAsks] = useState(false);
  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) isFirst.current = false;
    else own.current?.querySelector('button')?.focus();
  }, [asks]);
  const first = { text, kind, small: true, busy, onPress: () => setAsks(true), ...(hears !== undefined && { hears }) };
  const sure = (): void => {
    setAsks(false);
    onYes();
  };
  return el(
    'div',
    { ref: own, class: 'row center' },
    asks
      ? [
          el('span', null, question),
          button({ text: yes, kind, small: true, onPress: sure }),
          button({ text: no, kind: 'plain', small: true, onPress: () => setAsks(false) }),
        ]
      : button(first),
  );
}
