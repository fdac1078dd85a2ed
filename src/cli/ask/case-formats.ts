import type { CoveredPart } from '../../explain/cases/coverage.ts';
import type { CaseResult } from '../../explain/cases/run.ts';
import { printable } from '../../text/printable.ts';
import { textTable } from '../frame/table.ts';

/** Results for a person: failed cases in full, then a count. */
export function resultsText(results: readonly CaseResult[]): string {
  const failed = results.filter(({ passed }) => !passed);
  const lines = failed.map(({ name, place, differences, answer }) => {
    const code = answer?.code === undefined ? '' : `: ${answer.code}`;
    const found = answer === undefined ? [] : [`  the answer: ${answer.verdict}${code}`];
    return [`failed: ${name} (${place})`, ...differences.map((one) => `  ${one}`), ...found].map(printable).join('\n');
  });
  const count = `${results.length - failed.length} passed, ${failed.length} failed\n`;
  return lines.length === 0 ? count : `${lines.join('\n')}\n${count}`;
}

/** The Test Anything Protocol, release 14. */
export function resultsTap(results: readonly CaseResult[]): string {
  const lines = results.flatMap(({ passed, name, place, differences }, at) => {
    const head = `${passed ? 'ok' : 'not ok'} ${at + 1} - ${tapText(name)}`;
    if (passed) return [head];
    const yaml = differences.map((one) => `    - ${JSON.stringify(printable(one))}`);
    return [head, '  ---', `  at: ${JSON.stringify(place)}`, '  differences:', ...yaml, '  ...'];
  });
  return `TAP version 14\n1..${results.length}\n${lines.map((line) => `${line}\n`).join('')}`;
}

/** A `#` begins a directive. */
function tapText(text: string): string {
  return printable(text).replace(/[\\#]/g, '\\$&');
}

/** The XML that CI systems read as results of JUnit, one suite for each file. */
export function resultsJunit(results: readonly CaseResult[]): string {
  const suites = [...Map.groupBy(results, ({ file }) => file)].map(([file, all]) => {
    const failed = all.filter(({ passed }) => !passed).length;
    const cases = all.map(({ name, place, passed, differences }) => {
      const head = `    <testcase name="${xmlText(name)}" classname="${xmlText(file)}"`;
      if (passed) return `${head}/>`;
      const message = xmlText(differences[0] ?? '');
      const text = xmlText([place, ...differences].join('\n'));
      return `${head}>\n      <failure message="${message}">${text}</failure>\n    </testcase>`;
    });
    const counts = `tests="${all.length}" failures="${failed}"`;
    return `  <testsuite name="${xmlText(file)}" ${counts}>\n${cases.join('\n')}\n  </testsuite>`;
  });
  const failures = results.filter(({ passed }) => !passed).length;
  const open = `<testsuites tests="${results.length}" failures="${failures}">`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${open}\n${suites.join('\n')}\n</testsuites>\n`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Text in an element or an attribute of XML or HTML. */
export function xmlText(text: string): string {
  // Line breaks stay: they part sentences, and move nothing in XML.
  const safe = text.split('\n').map(printable).join('\n');
  return safe.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

/** The parts of the policy with the number of cases that each decided. */
export function coverageText(parts: readonly CoveredPart[]): string {
  const covered = parts.filter(({ cases }) => cases > 0).length;
  const rows = parts.map(({ part, cases }) => [part, cases === 0 ? 'no case' : String(cases)]);
  const percent = parts.length === 0 ? 100 : Math.floor((100 * covered) / parts.length);
  return `${textTable(['part', 'cases'], rows)}${covered} of ${parts.length} parts decide a case (${percent} %)\n`;
}
