import type { ChangeGroup } from '../../explain/diff/groups.ts';
import type { Role } from '../../explain/space/survey.ts';
import { printable } from '../../text/printable.ts';

/** The meaning of a role, for the line of collections. */
const ROLES: Readonly<Record<Role, string>> = {
  on: 'collections',
  names: 'named in the body',
  listed: 'shown in lists',
  aliases: 'aliases',
  global: 'collections',
};

/** Groups of changes for a person. */
export function diffText(groups: readonly ChangeGroup[], changes: number): string {
  if (groups.length === 0) return 'no verdict changes\n';
  const parts = groups.map(({ kind, role, from, to, merged_callers: callers, collections, operations }) => {
    const lines: readonly (readonly [string, readonly string[]])[] = [
      ...callers.map((one, at) => [at === 0 ? 'callers' : '', [one]] as const),
      [ROLES[role], collections],
      ['operations', operations],
    ];
    const shown = lines.flatMap(([name, all]) => (all.length === 0 ? [] : [`  ${name.padEnd(17)} ${listText(all)}\n`]));
    return `${kind}: ${printable(from)} -> ${printable(to)}\n${shown.join('')}`;
  });
  return `${parts.join('')}${countText(groups, changes)}\n`;
}

function listText(all: readonly string[]): string {
  return all.map(printable).join(', ');
}

function countText(groups: readonly ChangeGroup[], changes: number): string {
  return `${changes} classes of requests change, in ${groups.length} ${groups.length === 1 ? 'group' : 'groups'}`;
}

/** The same as a table for the description of a pull request. */
export function diffMarkdown(groups: readonly ChangeGroup[], changes: number): string {
  if (groups.length === 0) return '**Policy:** no verdict changes.\n';
  const rows = groups.map(({ kind, role, from, to, merged_callers: callers, collections, operations }) => {
    const where = collections.length === 0 ? 'no collection' : codes(collections);
    const what = role === 'on' || role === 'global' ? where : `${ROLES[role]}: ${where}`;
    return `| **${kind}** | ${markdownText(from)} → ${markdownText(to)} | ${callers.map(markdownText).join('<br>')} | ${what} | ${codes(operations)} |\n`;
  });
  const heading = '| change | verdict | callers | collections | operations |\n|---|---|---|---|---|\n';
  return `**Policy:** ${countText(groups, changes)}.\n\n${heading}${rows.join('')}`;
}

function codes(all: readonly string[]): string {
  // A backtick ends the code that it stands in.
  return all.map((one) => `\`${printable(one).replaceAll('`', "'").replaceAll('|', '\\|')}\``).join(', ');
}

/** Text in a cell of a table. */
export function markdownText(text: string): string {
  return printable(text).replace(/[\\|<>*_`[\]]/g, '\\$&');
}
