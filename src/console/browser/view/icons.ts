import type { VNode } from 'preact';
import { el } from './dom.ts';

/** Lines of 24 by 24. */
const PATHS = {
  overview: 'M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-4H4zM14 8h6V4h-6z',
  tokens: 'M15 9a4 4 0 1 0-3.9 5L9 16H7v2H5v2H3v-3l6.3-6.3M16 8h.01',
  keys: 'M5 11h14v9H5zM8 11V7a4 4 0 0 1 8 0v4M12 15v2',
  access: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  try: 'M12 20v.01M9.1 9a3 3 0 1 1 4.6 2.5c-1 .7-1.7 1.3-1.7 2.5M12 17v.01',
  audit: 'M4 6h16M4 12h16M4 18h10',
  policy: 'M12 3l8 3v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6zM9 12l2 2 4-4',
  sessions:
    'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8M2 21v-2a5 5 0 0 1 5-5h4a5 5 0 0 1 5 5v2M16 3.5a4 4 0 0 1 0 7M19 14.5a5 5 0 0 1 3 4.5v2',
  webui: 'M4 5h16v14H4zM4 9h16M7 7h.01M10 7h.01',
  out: 'M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2',
  moon: 'M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10',
  auto: 'M4 5h16v11H4zM9 20h6M12 16v4',
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  check: 'M5 13l4 4L19 7',
  close: 'M6 6l12 12M18 6L6 18',
  plus: 'M12 5v14M5 12h14',
  menu: 'M4 7h16M4 12h16M4 17h16',
  warn: 'M12 4l9 16H3zM12 10v4M12 17v.01',
} as const;

export type IconName = keyof typeof PATHS;

/** A drawing that says nothing by itself: the text beside it does. */
export function icon(name: IconName): VNode {
  return el(
    'svg',
    { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' },
    el('path', { d: PATHS[name] }),
  );
}

/** The mark of the product: a gate. */
export function mark(): VNode {
  return el(
    'svg',
    { class: 'mark', viewBox: '0 0 32 32', 'aria-hidden': 'true', focusable: 'false' },
    el('path', { class: 'mark-back', d: 'M16 1.5 28.6 8.7v14.6L16 30.5 3.4 23.3V8.7z' }),
    el('path', { class: 'mark-gate', d: 'M10.5 23V15a5.5 5.5 0 0 1 11 0v8M16 10v13M10.5 17.5h11' }),
  );
}
