import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { CaseRun, DraftCheck, PolicyPage } from '../../api/questions.ts';
import type { PageProps } from '../place.ts';
import { button } from '../view/buttons.ts';
import { type Child, el, use } from '../view/dom.ts';
import { areaField } from '../view/fields.ts';
import { useAct, useAsked } from '../view/hooks.ts';
import { badge, card, empty, loading, notice, pageHead, problemsBox } from '../view/parts.ts';
import { table } from '../view/tables.ts';
import { tabs } from '../view/tabs.ts';
import { count } from '../view/times.ts';
import { useUnsaved } from '../view/unsaved.ts';
import { PolicyDiff } from './policy-diff.ts';

const VIEWS = [
  ['diff', 'What changes'],
  ['tests', 'Tests'],
  ['shadow', 'Shadow and limits'],
] as const;

/** Status of a write that the file stood against. */
const CONFLICT = 409;

const CASES = `# One case for each promise of the policy.
cases:
  - as: '{"access": "r", "subject": "shop"}'
    request: GET /collections
    expect: allowed
`;

/** The policy file: read, drafted, tested, compared and written. */
export function Policy({ session }: PageProps): VNode {
  const { value, problems, again } = useAsked<PolicyPage>('policy');
  return el(
    'div',
    { class: 'stack' },
    pageHead(
      'Policy',
      'Rules, guards, limits and tenants. Edit a draft, test it, see every verdict that it changes, and only then put it in force.',
    ),
    problemsBox(problems, again),
    value
      ? whole(value, session.role === 'full', again)
      : problems.length === 0 && card(undefined, loading('the policy', 8)),
  );
}

function whole(page: PolicyPage, mayWrite: boolean, again: () => void): Child {
  if (page.file === null) {
    return card(
      undefined,
      empty('No policy file yet', [
        'Keys and tokens decide alone. To add rules, set ',
        el('code', null, 'gateway.policy_file'),
        ' to a file, for example with ',
        el('code', null, 'rules: []'),
        ' in it.',
      ]),
    );
  }
  if (page.text === null) return notice('warn', page.fixed ?? `The policy file ${page.file} is not shown.`);
  return [
    !page.in_force &&
      notice(
        'warn',
        'The last reload failed: the policy in force is older than this file. The page Overview tells why.',
      ),
    use(Editor, { page, text: page.text, mayWrite, again }),
  ];
}

interface EditorProps {
  readonly page: PolicyPage;
  readonly text: string;
  readonly mayWrite: boolean;
  /** Asks for the file anew. */
  readonly again: () => void;
}

function Editor({ page, text, mayWrite, again }: EditorProps): VNode {
  const [draft, setDraft] = useState(text);
  const [base, setBase] = useState(page.revision ?? '');
  const [view, setView] = useState<string>('diff');
  const [asks, setAsks] = useState(false);
  const check = useAct<{ draft: string }, DraftCheck>('policy/check');
  const write = useAct<{ draft: string; revision: string }, { revision: string }>('policy/write');
  const isChanged = draft !== text;
  useUnsaved(isChanged);
  const edit = (next: string): void => {
    setDraft(next);
    check.clear();
    write.clear();
    setAsks(false);
  };
  const reopens = useRef(false);
  useEffect(() => {
    if (!reopens.current) return;
    reopens.current = false;
    edit(text);
    setBase(page.revision ?? '');
  }, [page]);
  const reopen = (): void => {
    reopens.current = true;
    again();
  };
  const put = async (): Promise<void> => {
    const done = await write.run({ draft, revision: base });
    setAsks(false);
    if (!done) return;
    setBase(done.revision);
    again();
  };
  return el(
    'div',
    { class: 'two' },
    card(
      undefined,
      el(
        'div',
        { class: 'form' },
        el(
          'div',
          { class: 'row between' },
          el('code', { class: 'break' }, page.file ?? ''),
          badge(isChanged ? 'warn' : 'good', isChanged ? 'draft' : `in force, revision ${base}`),
        ),
        areaField({ label: 'Policy', value: draft, onText: edit, rows: 24 }),
        checkResult(check.done, check.problems),
        problemsBox(write.problems),
        write.status === CONFLICT &&
          el(
            'div',
            { class: 'row' },
            button({ text: 'Open the file again', onPress: reopen }),
            el('span', { class: 'hint' }, 'Your draft is then gone: copy what you need of it.'),
          ),
        write.done && !isChanged && notice('good', `In force, revision ${write.done.revision}.`),
        mayWrite && page.fixed !== null && notice('info', page.fixed),
        !mayWrite && notice('info', 'You are logged in read-only: you can draft and compare, and not write.'),
        el(
          'div',
          { class: 'row' },
          button({ text: 'Check', busy: check.busy, onPress: () => void check.run({ draft }) }),
          isChanged && button({ text: 'Back to the file', kind: 'plain', onPress: () => edit(text) }),
          mayWrite &&
            page.fixed === null &&
            isChanged &&
            !asks &&
            button({ text: 'Put in force', kind: 'main', onPress: () => setAsks(true) }),
        ),
        asks &&
          el(
            'div',
            { class: 'row center' },
            el('span', null, 'Write the file, and decide by it from now on?'),
            button({ text: 'Yes, write it', kind: 'main', busy: write.busy, onPress: () => void put() }),
            button({ text: 'Not yet', kind: 'plain', onPress: () => setAsks(false) }),
          ),
      ),
    ),
    card(
      undefined,
      tabs('Draft', view, VIEWS, setView),
      view === 'diff' && use(PolicyDiff, { draft, isChanged }),
      view === 'tests' && use(Tests, { draft }),
      view === 'shadow' && shadow(page),
    ),
  );
}

function checkResult(done: DraftCheck | undefined, problems: readonly string[]): Child {
  if (problems.length > 0) return problemsBox(problems);
  if (!done) return null;
  if (done.problems.length > 0) return problemsBox(done.problems.map(({ place, message }) => `${place}: ${message}`));
  const counts = Object.entries(done.counts ?? {}).filter(([, number]) => number > 0);
  const told = counts.map(([name, number]) => `${number} ${name.replace('_', ' ')}`).join(', ');
  return [
    notice('good', `Valid: ${told === '' ? 'no entries' : told}.`),
    done.warnings.map((one) => notice('warn', one)),
  ];
}

function Tests({ draft }: { readonly draft: string }): VNode {
  const [cases, setCases] = useState(CASES);
  const { run, busy, done, problems } = useAct<{ draft: string; cases: string }, CaseRun>('policy/tests');
  return el(
    'div',
    { class: 'form' },
    areaField({
      label: 'Cases',
      value: cases,
      onText: setCases,
      rows: 10,
      hint: 'In the form of the command policy test: keep them in a file beside the policy.',
    }),
    problemsBox(problems),
    el(
      'div',
      { class: 'row' },
      button({
        text: busy ? 'Running' : 'Run on the draft',
        kind: 'main',
        busy,
        onPress: () => void run({ draft, cases }),
      }),
    ),
    done && results(done),
  );
}

function results({ passed, failed, cases, coverage }: CaseRun): VNode {
  const covered = coverage.filter(({ cases: number }) => number > 0).length;
  return el(
    'div',
    { class: 'form', 'aria-live': 'polite' },
    notice(
      failed === 0 ? 'good' : 'warn',
      `${passed} passed, ${failed} failed. ${covered} of ${coverage.length} parts of the policy decide a case.`,
    ),
    el(
      'ul',
      { class: 'plain-list' },
      cases.map((one) =>
        el(
          'li',
          { key: one.place },
          badge(one.passed ? 'good' : 'bad', one.passed ? 'passed' : 'failed'),
          ' ',
          one.name,
          one.differences.map((text) => el('div', { class: 'hint' }, text)),
        ),
      ),
    ),
  );
}

function shadow({ shadow: all, limits, mode }: PolicyPage): VNode {
  if (all.length === 0 && limits.length === 0) {
    return empty(
      'Nothing counted yet',
      mode === 'enforce'
        ? 'An entry with mode: shadow refuses nothing, and is counted here: try new rules so.'
        : `The gateway runs in mode ${mode}.`,
    );
  }
  return el(
    'div',
    { class: 'form' },
    all.length > 0 &&
      table(
        ['Would be refused', 'Requests'],
        all.map(({ code, requests }) => [code, count(requests)]),
      ),
    limits.length > 0 &&
      table(
        ['Limit', 'Refused', 'In shadow'],
        limits.map(({ id, denied, shadowed }) => [id, count(denied), count(shadowed)]),
      ),
  );
}
