import { Parser, type Result } from 'tap-parser';

/** One test point that did not pass, or one that was skipped. */
export type Point = { readonly name: string; readonly detail: string };

/** What one test file said, counted in leaf test points (a subtest counts by what is in it). */
export type Tally = {
  passed: number;
  readonly failures: Point[];
  readonly skips: Point[];
  /** What comments that begin with `note:` say: figures a reader of the run wants to see. */
  readonly notes: string[];
  /** Lines of the file's standard output that are not TAP. */
  readonly extra: string[];
};

function describe(diag: unknown): string {
  if (typeof diag !== 'object' || diag === null) return '';
  const lines = Object.entries(diag).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
    return `${name}: ${text ?? ''}`.trimEnd().replaceAll('\n', '\n  ');
  });
  return lines.join('\n');
}

function readPoint(tally: Tally, point: Result): void {
  const name = point.fullname === '' ? `test point ${point.id}` : point.fullname;
  if (point.skip !== false || point.todo !== false) {
    const reason = point.skip === false ? `todo ${String(point.todo)}` : String(point.skip);
    tally.skips.push({ name, detail: reason === 'true' ? 'no reason given' : reason });
  } else if (!point.ok) {
    tally.failures.push({ name, detail: describe(point.diag) });
  } else if (!point.closingTestPoint) {
    tally.passed += 1;
  }
}

function listen(tally: Tally, parser: Parser): void {
  let innerFailures = 0;
  parser.on('child', (child: Parser) => {
    innerFailures = tally.failures.length;
    listen(tally, child);
  });
  parser.on('assert', (point: Result) => {
    // The line that closes a subtest repeats what was in it, unless it alone says that something is wrong.
    if (point.closingTestPoint && !point.ok && tally.failures.length > innerFailures) return;
    readPoint(tally, point);
  });
  parser.on('comment', (text: string) => {
    const note = /^#\s*note:\s*(.*)/.exec(text.trim())?.[1];
    if (note !== undefined) tally.notes.push(note);
  });
  parser.on('extra', (text: string) => tally.extra.push(text.trimEnd()));
  parser.on('bailout', (reason: string) => tally.failures.push({ name: 'bail out', detail: reason }));
  parser.on('complete', (results) => {
    for (const failure of results.failures) {
      if (!('tapError' in failure) || failure.tapError === null) continue;
      tally.failures.push({ name: 'test protocol', detail: String(failure.tapError) });
    }
    // The parser's own words for a file that said nothing; the caller reports that as a failure.
    const nothing = results.plan.skipReason === 'no tests found';
    if (results.plan.skipAll && !nothing)
      tally.skips.push({ name: 'all', detail: results.plan.skipReason || 'no reason given' });
  });
}

/** A sink for the TAP of one file; `end` it, then read `tally`. */
export function startTally(): { readonly parser: Parser; readonly tally: Tally } {
  const tally: Tally = { passed: 0, failures: [], skips: [], notes: [], extra: [] };
  const parser = new Parser();
  listen(tally, parser);
  return { parser, tally };
}
