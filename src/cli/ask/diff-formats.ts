import type { ChangeGroup } from '../../explain/diff/groups.ts';
import type { SettingChange, SourceChange } from '../../explain/diff/sources.ts';
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
export function diffText(
  groups: readonly ChangeGroup[],
  changes: number,
  sources: readonly SourceChange[] = [],
): string {
  const first = sources.map(sourceText).join('');
  if (groups.length === 0) return `${first}${unchanged(sources)}\n`;
  const parts = groups.map(({ kind, role, from, to, merged_callers: callers, collections, operations }) => {
    const lines: readonly (readonly [string, readonly string[]])[] = [
      ...callers.map((one, at) => [at === 0 ? 'callers' : '', [one]] as const),
      [ROLES[role], collections],
      ['operations', operations],
    ];
    const shown = lines.flatMap(([name, all]) => (all.length === 0 ? [] : [`  ${name.padEnd(17)} ${listText(all)}\n`]));
    return `${kind}: ${printable(from)} -> ${printable(to)}\n${shown.join('')}`;
  });
  return `${first}${parts.join('')}${countText(groups, changes)}\n`;
}

function unchanged(sources: readonly SourceChange[]): string {
  return sources.length === 0 ? 'no verdict changes' : 'no verdict on the asked callers changes';
}

/** One block for a part of the file whose settings differ. */
function sourceText({ kind, part, settings }: SourceChange): string {
  const lines = settings.map((one) => `  ${one.setting.padEnd(17)} ${printable(settingText(kind, one))}\n`);
  return `${kind}: ${printable(part)}\n${lines.join('')}`;
}

function settingText(kind: SourceChange['kind'], { from, to }: SettingChange): string {
  if (kind === 'changed') return `${from ?? 'not set'} -> ${to ?? 'not set'}`;
  return from ?? to ?? 'not set';
}

function listText(all: readonly string[]): string {
  return all.map(printable).join(', ');
}

function countText(groups: readonly ChangeGroup[], changes: number): string {
  return `${changes} classes of requests change, in ${groups.length} ${groups.length === 1 ? 'group' : 'groups'}`;
}

/** The same as a table for the description of a pull request. */
export function diffMarkdown(
  groups: readonly ChangeGroup[],
  changes: number,
  sources: readonly SourceChange[] = [],
): string {
  const more = sources.length === 0 ? '' : `\n${sourcesMarkdown(sources)}`;
  if (groups.length === 0) return `**Policy:** ${unchanged(sources)}.\n${more}`;
  const rows = groups.map(({ kind, role, from, to, merged_callers: callers, collections, operations }) => {
    const where = collections.length === 0 ? 'no collection' : codes(collections);
    const what = role === 'on' || role === 'global' ? where : `${ROLES[role]}: ${where}`;
    return `| **${kind}** | ${markdownText(from)} → ${markdownText(to)} | ${callers.map(markdownText).join('<br>')} | ${what} | ${codes(operations)} |\n`;
  });
  const heading = '| change | verdict | callers | collections | operations |\n|---|---|---|---|---|\n';
  return `**Policy:** ${countText(groups, changes)}.\n\n${heading}${rows.join('')}${more}`;
}

function sourcesMarkdown(sources: readonly SourceChange[]): string {
  const rows = sources.map(({ kind, part, settings }) => {
    const told = settings.map((one) => `${markdownText(one.setting)}: ${codes([settingText(kind, one)])}`);
    return `| **${kind}** | ${markdownText(part)} | ${told.join('<br>')} |\n`;
  });
  return `| change | part | settings |\n|---|---|---|\n${rows.join('')}`;
}

function codes(all: readonly string[]): string {
  // A backtick ends the code that it stands in.
  return all.map((one) => `\`${printable(one).replaceAll('`', "'").replaceAll('|', '\\|')}\``).join(', ');
}

/** Text in a cell of a table. */
export function markdownText(text: string): string {
  return printable(text).replace(/[\\|<>*_`[\]]/g, '\\$&');
}
