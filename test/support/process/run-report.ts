import type { Outcome } from './run-file.ts';
import type { Tally } from './tap-tally.ts';

/* What a run says of itself: one line for each file, then what is worth reading, then the line that counts. */

const SLOWEST = 10;

function indent(text: string, by: string): string {
  return text
    .split('\n')
    .map((line) => `${by}${line}`.trimEnd())
    .join('\n');
}

/** Minutes and seconds. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** The line of one file that has ended: its verdict, how many have ended of how many, and the time since the start. */
export function progressLine(outcome: Outcome, ended: number, of: number, elapsed: number): string {
  const { file, tally, seconds, processor, left } = outcome;
  const verdict = tally.failures.length === 0 ? 'ok    ' : 'FAILED';
  const skipped = tally.skips.length === 0 ? '' : `, ${tally.skips.length} skipped`;
  const failed = tally.failures.length === 0 ? '' : `, ${tally.failures.length} failed`;
  const behind = left.length === 0 ? '' : `, ${left.length} left behind`;
  const place = `${String(ended).padStart(String(of).length)} of ${of}  ${clock(elapsed)}`;
  const used = processor === null ? '' : ` (${processor.toFixed(1)} s of processor)`;
  return `${verdict} ${place}  ${file}  ${tally.passed} passed${failed}${skipped}${behind}  ${seconds.toFixed(1)} s${used}`;
}

function failureReport({ file, tally, stderr }: Outcome): string {
  const points = tally.failures.map(({ name, detail }) => `  ${name}\n${indent(detail, '    ')}`);
  const extra = tally.extra.length === 0 ? [] : [`  output:\n${indent(tally.extra.slice(-50).join('\n'), '    ')}`];
  const errors = stderr.trim() === '' ? [] : [`  standard error:\n${indent(stderr.trimEnd(), '    ')}`];
  return [`\nFAILED ${file}`, ...points, ...extra, ...errors].join('\n');
}

function slowest(outcomes: readonly Outcome[]): string[] {
  if (outcomes.length < 2) return [];
  const files = [...outcomes].sort((one, other) => other.seconds - one.seconds).slice(0, SLOWEST);
  return ['\nslowest files:', ...files.map(({ file, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${file}`)];
}

/** The files that kept the processors busiest, and what all files used. */
function busiest(outcomes: readonly Outcome[]): string[] {
  const known = outcomes.flatMap(({ file, processor }) => (processor === null ? [] : [{ file, processor }]));
  if (known.length < 2) return [];
  const total = known.reduce((sum, { processor }) => sum + processor, 0);
  const files = known.sort((one, other) => other.processor - one.processor).slice(0, SLOWEST);
  return [
    `\nbusiest files, of ${total.toFixed(0)} s of processor time in all:`,
    ...files.map(({ file, processor }) => `${processor.toFixed(1).padStart(7)} s  ${file}`),
  ];
}

function closingLine(outcomes: readonly Outcome[]): { line: string; ok: boolean } {
  const sum = (count: (tally: Tally) => number) => outcomes.reduce((total, { tally }) => total + count(tally), 0);
  const passed = sum((tally) => tally.passed);
  const failed = sum((tally) => tally.failures.length);
  const skipped = sum((tally) => tally.skips.length);
  const line = `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
  return { line, ok: failed === 0 && passed > 0 };
}

/** The lines behind the last file, the closing line last; `notRun` are files that were not started. */
export function report(
  outcomes: readonly Outcome[],
  notRun: readonly string[],
  elapsed: number,
): { readonly lines: readonly string[]; readonly ok: boolean } {
  const cut = outcomes.filter(({ interrupted }) => interrupted);
  const whole = outcomes.filter(({ interrupted }) => !interrupted);
  const lines: string[] = [];
  for (const { file, tally, left } of outcomes) {
    for (const note of tally.notes) lines.push(`note: ${file} ${note}`);
    for (const { name, detail } of tally.skips) lines.push(`skipped: ${file} ${name}: ${detail}`);
    for (const { pid, command } of left) lines.push(`left behind: ${file} process ${pid}, ended: ${command}`);
  }
  for (const outcome of outcomes) {
    if (outcome.tally.failures.length > 0) lines.push(failureReport(outcome));
  }
  lines.push(...slowest(whole), ...busiest(whole));
  const interrupted = cut.length > 0 || notRun.length > 0;
  if (interrupted) {
    const of = outcomes.length + notRun.length;
    lines.push(`\ninterrupted after ${clock(elapsed)}: ${whole.length} of ${of} files had ended`);
    for (const { file, tally, seconds } of cut) {
      lines.push(`was running: ${file}  ${tally.passed} passed so far  ${seconds.toFixed(1)} s`);
    }
    for (const file of notRun) lines.push(`not run: ${file}`);
  }
  const { line, ok } = closingLine(outcomes);
  return { lines: [...lines, line], ok: ok && !interrupted };
}
