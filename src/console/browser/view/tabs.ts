import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { el, use } from './dom.ts';
import type { Choice, Choosing } from './fields.ts';

/** Pages of a page: one is shown. */
export function tabs(
  label: string,
  value: string,
  choices: readonly Choice[],
  onChoice: (value: string) => void,
): VNode {
  return use(Tabs, { label, value, choices, onChoice });
}

function Tabs({ label, value, choices, onChoice }: Choosing): VNode {
  const own = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Alone sideways: the page itself stays where it is.
    const [list, tab] = [own.current, own.current?.querySelector<HTMLElement>('[aria-selected="true"]')];
    if (!list || !tab) return;
    const beyond = tab.offsetLeft + tab.offsetWidth - list.offsetLeft - list.clientWidth;
    list.scrollLeft = Math.max(0, beyond);
  }, [value]);
  const move = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    const next = choices[(choices.findIndex(([one]) => one === value) + step + choices.length) % choices.length];
    if (step === 0 || !next || !(event.currentTarget instanceof HTMLElement)) return;
    onChoice(next[0]);
    event.currentTarget.querySelector<HTMLElement>(`[data-tab="${next[0]}"]`)?.focus();
  };
  return el(
    'div',
    { ref: own, class: 'tabs', role: 'tablist', 'aria-label': label, onKeyDown: move },
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
