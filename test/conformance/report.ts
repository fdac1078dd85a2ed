import { loadCaseFile } from '../support/verdicts/cells.ts';
import type { Grant } from '../support/verdicts/principals.ts';
import type { Compared, MeasureStep } from './replay.ts';

/** How many verdicts stand how. */
export type Totals = Readonly<Record<MeasureStep, number>>;

export function totalsOf(compared: readonly Compared[]): Totals {
  const count = (standing: MeasureStep): number => compared.filter((one) => one.standing === standing).length;
  return {
    equal: count('equal'),
    earlier: count('earlier'),
    'listed deviation': count('listed deviation'),
    different: count('different'),
  };
}

export function isClean({ different }: Totals): boolean {
  return different === 0;
}

const TITLES: Readonly<Record<string, string>> = {
  'verdicts-rest.json': 'REST: every route',
  'cross-rest.json': 'REST: bodies that name other collections',
  'verdicts-grpc.json': 'gRPC: every method',
  'cross-grpc.json': 'gRPC: messages that name other collections',
};

/** The page: totals, then for every file of cases a table of operation by principal. */
export function render(compared: readonly Compared[], upstream: string): string {
  const byFile = Map.groupBy(compared, ({ verdict }) => verdict.file);
  const files = [...byFile].map(([file, rows]) => ({ title: TITLES[file] ?? file, totals: totalsOf(rows), rows }));
  const total = ({ title, totals, rows }: { title: string; totals: Totals; rows: readonly Compared[] }): string =>
    row([title, rows.length, totals.equal, totals.earlier, totals['listed deviation'], totals.different]);
  return [
    '# Conformance',
    '',
    '<!-- Written by `npm run test:conformance`. Do not edit. -->',
    '',
    'Every verdict recorded from a secured Qdrant v1.18.3, asked again through the gateway with the same credential.',
    `Upstream of this run: ${upstream}.`,
    '',
    'Later releases: v1.19.0 was compared live with a secured one. Its own authentication tests passed through the gateway (109 of',
    '109), and of 26 000 mutated requests none was permitted that Qdrant refused. v1.20.0 is followed by its published interface: its',
    'proto files and the routes of its clients (`npm run matrix:diff -- 1.20.0 1.19.0`). No answer of v1.20.0 was recorded.',
    '',
    row(['', 'verdicts', 'equal', 'earlier', 'listed deviations', 'different']),
    row(['---', '---:', '---:', '---:', '---:', '---:']),
    ...files.map(total),
    total({ title: '**All**', totals: totalsOf(compared), rows: compared }),
    '',
    'A cell is the native verdict: an HTTP status or a gRPC code, `ok` for a call that was let through. Alone it is',
    'ours as well; the text of every refusal was compared, too. `a → b` is an answer of ours that comes earlier:',
    'Qdrant answers `a` before its access check, the gateway refuses with `b` as the access matrix says. `a → b †` is',
    'a deviation of those listed below. `a ≠ b` is a difference that is not listed; the run fails on it.',
    '',
    ...files.flatMap(({ title, rows }) => [`## ${title}`, '', ...tableOf(rows), '']),
    '## Listed deviations',
    '',
    'Never more permissive than Qdrant.',
    '',
    ...deviationsOf([...byFile.keys()]),
    '',
  ].join('\n');
}

function tableOf(compared: readonly Compared[]): string[] {
  const grants = new Map(compared.map(({ verdict }) => [verdict.principal, verdict.grant]));
  const names = [...grants.keys()];
  // A case stands once per principal, in one run; its name alone need not be unique.
  const rows = Array.from({ length: compared.length / names.length }, (_, at) =>
    compared.slice(at * names.length, (at + 1) * names.length),
  );
  return [
    row(['operation', ...names]),
    row(['---', ...names.map(() => ':-:')]),
    row(['*access*', ...[...grants.values()].map(grantText)]),
    ...rows.map((cells) => row([code(cells[0]?.verdict.case ?? ''), ...cells.map(cellOf)])),
  ];
}

function cellOf({ verdict, outcome, standing }: Compared): string {
  const native = short(verdict.recorded);
  if (standing === 'equal') return native;
  const ours = short(outcome);
  if (standing === 'earlier') return `${native} → ${ours}`;
  return standing === 'listed deviation' ? `${native} → ${ours} †` : `**${native} ≠ ${ours}**`;
}

/** `served 404` and `404 Not found` as `404`, `served` as `ok`. */
function short(outcome: string): string {
  return /^(?:served ?)?(\d*)/.exec(outcome)?.[1] || 'ok';
}

function grantText(grant: Grant): string {
  if (grant === null) return 'none';
  if (typeof grant === 'string') return grant;
  return (
    Object.entries(grant)
      .map(([name, mode]) => `${name}:${mode}`)
      .join(' ') || 'empty list'
  );
}

interface Deviation {
  readonly file: string;
  readonly case: string;
  readonly who?: string;
  readonly instead: string;
  readonly reason: string;
}

function deviationsOf(files: readonly string[]): string[] {
  const { cases } = loadCaseFile<{ cases: readonly Deviation[] }>('deviations.json');
  const listed = cases.filter(({ file }) => files.includes(file));
  return [
    row(['operation', 'principals', 'the gateway answers', 'because']),
    row(['---', '---', '---', '---']),
    ...listed.map((one) => row([code(one.case), one.who ?? 'all', code(one.instead), one.reason])),
  ];
}

function code(text: string): string {
  return `\`${text.replaceAll('`', "'")}\``;
}

function row(cells: readonly (string | number)[]): string {
  return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
}
