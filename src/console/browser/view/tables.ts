import type { VNode } from 'preact';
import { type Child, el } from './dom.ts';

/** A table; on a narrow screen each row becomes a list of names and values. */
export function table(heads: readonly string[], rows: readonly (readonly Child[])[], caption?: string): VNode {
  const shown = rows.map((cells) => rowOf(heads, cells));
  return tableOf(heads, shown, caption);
}

/** A row, each cell with the name of its column. @param change buttons in a column of their own; `false` = there is none */
export function rowOf(heads: readonly string[], cells: readonly Child[], change: VNode | false = false): VNode {
  return el(
    'tr',
    null,
    cells.map((cell, at) => el('td', { 'data-name': heads[at] ?? '' }, cell)),
    change && el('td', { 'data-name': 'Change' }, change),
  );
}

/** A table of rows that are made already. @param isDense on a narrow screen the cells stand beside each other, without their names */
export function tableOf(heads: readonly string[], rows: readonly VNode[], caption?: string, isDense = false): VNode {
  return el(
    'div',
    { class: 'table' },
    el(
      'table',
      { class: isDense ? 'rows dense' : 'rows' },
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
