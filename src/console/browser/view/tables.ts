import type { VNode } from 'preact';
import { type Child, el } from './dom.ts';

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
