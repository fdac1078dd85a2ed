import type { Plan, PlannedFile } from './plan.ts';
import { type Changes, isDone } from './record.ts';

const HEADINGS = {
  done: 'Nothing to do: everything is as it should be.',
  written: 'Written:',
  planned: 'Would be written (with --yes):',
} as const;

/** The plan for a person: what was found, what changes, what to know and what to do next. Secrets are not in it. */
export function planText(plan: Plan, changes: Changes, state: keyof typeof HEADINGS): string {
  const found = plan.found.map((line) => `  ${line}`);
  const files = [
    ...changes.added.map((file) => fileText(file, undefined)),
    ...changes.changed.map(({ file, before }) => fileText(file, before)),
    ...(changes.env ? [envText(changes.env)] : []),
  ];
  const notes = plan.notes.map((line) => `  - ${line}`);
  const parts = [
    ['Found:', ...found],
    [HEADINGS[state], ...(isDone(changes) ? [] : ['', ...files])],
    ['To know:', ...notes],
    ...(state === 'planned' ? [] : [nextLines(plan.next)]),
  ];
  return `${parts.map((part) => part.join('\n')).join('\n\n')}\n`;
}

/** Commands to run, numbered, below a heading. */
export function nextLines(commands: readonly string[]): readonly string[] {
  return ['Next:', ...commands.map((line, at) => `  ${at + 1}. ${line}`)];
}

function fileText({ path, text, mode, secret }: PlannedFile, before: string | undefined): string {
  const heading = `${before === undefined ? 'new' : 'changed'}  ${path}  (mode 0${mode.toString(8)})`;
  if (secret) return heading;
  const lines = text.trimEnd().split('\n');
  const old = before?.trimEnd().split('\n') ?? [];
  const gone = old.filter((line) => !lines.includes(line)).map((line) => `  - ${line}`);
  const shown = before === undefined ? lines : lines.filter((line) => !old.includes(line));
  return [heading, ...gone, ...shown.map((line) => `  + ${line}`), ''].join('\n');
}

function envText({ name, before, after }: NonNullable<Changes['env']>): string {
  const gone = before === undefined ? [] : [`  - ${name}=${before}`];
  return ['changed  .env', ...gone, `  + ${name}=${after}`, ''].join('\n');
}
