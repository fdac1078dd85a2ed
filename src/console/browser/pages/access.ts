import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { AccessMatrix, Why as WhyData } from '../../api/questions.ts';
import type { PageProps } from '../place.ts';
import { button } from '../view/buttons.ts';
import { dialog } from '../view/dialog.ts';
import { type Child, classes, el, use } from '../view/dom.ts';
import { choiceField, textField } from '../view/fields.ts';
import { useAsked } from '../view/hooks.ts';
import { badge, card, empty, facts, lines, loading, notice, pageHead, problemsBox } from '../view/parts.ts';
import { decidedText } from './decided.ts';

type Row = AccessMatrix['rows'][number];
type Cell = Row['cells'][number];

/** A cell that was pressed. */
interface Chosen {
  readonly operation: string;
  readonly cell: Cell;
}

/** Every caller and operation, and where it is allowed. */
export function Access(_props: PageProps): VNode {
  const [typed, setTyped] = useState('');
  const [caller, setCaller] = useState('');
  const [operation, setOperation] = useState('');
  const [place, setPlace] = useState('');
  const [chosen, setChosen] = useState<Chosen | undefined>(undefined);
  useEffect(() => {
    const timer = setTimeout(() => setCaller(typed.trim()), 400);
    return () => clearTimeout(timer);
  }, [typed]);
  const { value, problems, again } = useAsked<AccessMatrix>(`access?${new URLSearchParams({ caller })}`);
  const filters = el(
    'div',
    { class: 'filters' },
    choiceField(
      'On the collection',
      place,
      [
        ['', 'any'],
        ...(value?.collections ?? []).map((name) => [name, name === '*' ? 'any other (*)' : name] as const),
      ],
      setPlace,
    ),
    textField({
      label: 'Operation',
      value: operation,
      onText: setOperation,
      placeholder: 'delete, query, snapshot',
      type: 'search',
    }),
    textField({ label: 'Caller', value: typed, onText: setTyped, placeholder: 'shop, api_key', type: 'search' }),
  );
  return el(
    'div',
    { class: 'stack' },
    pageHead(
      'Access',
      'What each caller may do, as the keys, tokens and the policy in force decide. Press a field to see why.',
    ),
    card(undefined, filters),
    problemsBox(problems, again),
    value?.notes.map((note) => notice('info', note)),
    card(
      undefined,
      value
        ? heatMap(value, { operation, place, choose: setChosen })
        : problems.length === 0 && loading('the access of each caller: this takes a moment', 8),
    ),
    chosen &&
      dialog({
        title: chosen.operation,
        drawer: true,
        onClose: () => setChosen(undefined),
        children: use(Why, { ...chosen, place }),
      }),
  );
}

interface Shown {
  readonly operation: string;
  readonly place: string;
  readonly choose: (chosen: Chosen) => void;
}

function heatMap({ callers, rows, left_out: left }: AccessMatrix, { operation, place, choose }: Shown): Child {
  const wanted = operation.trim().toLowerCase();
  const shown = rows.flatMap((row): Row | [] => {
    const fitting = row.operations.filter((name) => name.toLowerCase().includes(wanted));
    // Names before paths, which are those of operations that upstream does not name.
    const operations = fitting.toSorted((left, right) => Number(left.startsWith('/')) - Number(right.startsWith('/')));
    return operations.length === 0 ? [] : { ...row, operations };
  });
  if (callers.length === 0)
    return empty('No caller fits', 'Callers are keys, and tokens by their signing key and subject.');
  if (shown.length === 0)
    return empty(
      'No operation fits',
      'Operations have the names of the audit log, such as query_points or delete_collection.',
    );
  return [
    el(
      'div',
      { class: 'heat-legend' },
      ...LEGEND.map(([kind, text]) => el('span', null, el('i', { class: `heat ${kind}` }), text)),
    ),
    el(
      'div',
      { class: 'table heat-map', tabIndex: 0, role: 'region', 'aria-label': 'Access of each caller' },
      el(
        'table',
        null,
        el(
          'thead',
          null,
          el(
            'tr',
            null,
            el('th', { scope: 'col' }, 'Operations'),
            callers.map((label) => el('th', { scope: 'col', class: 'tall' }, el('span', { title: label }, label))),
          ),
        ),
        el(
          'tbody',
          null,
          shown.map((row) => heatRow(row, place, choose)),
        ),
      ),
    ),
    left > 0 &&
      el('p', { class: 'hint after' }, `${left} more callers: write a part of a name under Caller to see them.`),
  ];
}

const LEGEND = [
  ['all', 'allowed'],
  ['some', 'in some collections'],
  ['part', 'allowed with conditions'],
  ['none', 'refused'],
] as const;

const FIRST = 3;

function heatRow({ operations, cells }: Row, place: string, choose: (chosen: Chosen) => void): VNode {
  const [first = ''] = operations;
  const rest = operations.slice(FIRST);
  return el(
    'tr',
    { key: operations.join(' ') },
    el(
      'th',
      { scope: 'row' },
      operations.slice(0, FIRST).map((name) => el('div', null, name)),
      rest.length > 0 &&
        el(
          'details',
          null,
          el('summary', null, `and ${rest.length} more`),
          rest.map((name) => el('div', null, name)),
        ),
    ),
    cells.map((cell) => {
      const kind = kindOf(cell, place);
      return el(
        'td',
        null,
        el(
          'button',
          {
            type: 'button',
            class: classes('heat', kind),
            'aria-label': `${first}, ${cell.caller}: ${SAID[kind]}`,
            title: cell.caller,
            onClick: () => choose({ operation: first, cell }),
          },
          el('span', { 'aria-hidden': 'true' }, MARKS[kind]),
        ),
      );
    }),
  );
}

type Kind = 'all' | 'some' | 'part' | 'none';
const SAID: Readonly<Record<Kind, string>> = {
  all: 'allowed',
  some: 'allowed in some collections',
  part: 'allowed with conditions',
  none: 'refused',
};
const MARKS: Readonly<Record<Kind, string>> = { all: '✓', some: '◐', part: '✓*', none: '·' };

function kindOf({ allowed, conditions }: Cell, place: string): Kind {
  const isAllowed = allowed === 'all' || (typeof allowed !== 'string' && allowed.includes(place));
  if (allowed === 'none') return 'none';
  if (isAllowed) return conditions.length > 0 ? 'part' : 'all';
  return place === '' ? 'some' : 'none';
}

interface WhyProps extends Chosen {
  readonly place: string;
}

function Why({ operation, cell, place }: WhyProps): VNode {
  const [asked, setAsked] = useState(place === '' || place === '*' ? firstPlace(cell) : place);
  const [typed, setTyped] = useState(asked);
  const query = new URLSearchParams({ operation, caller: cell.caller, ...(asked !== '' && { collection: asked }) });
  const { value, problems, again } = useAsked<WhyData>(`access/why?${query}`);
  const where = cell.allowed === 'all' ? 'everywhere' : cell.allowed === 'none' ? 'nowhere' : cell.allowed.join(', ');
  return el(
    'div',
    { class: 'stack' },
    facts([
      ['Caller', cell.caller],
      ['Allowed', where],
      ['Conditions', lines(cell.conditions)],
    ]),
    el(
      'form',
      {
        onSubmit: (event) => {
          event.preventDefault();
          setAsked(typed.trim());
        },
      },
      el(
        'div',
        { class: 'row bottom' },
        textField({ label: 'On the collection', value: typed, onText: setTyped }),
        button({ text: 'Ask', submit: true }),
      ),
    ),
    problemsBox(problems, again),
    value ? value.callers.map(verdict) : problems.length === 0 && loading('the reason', 2),
  );
}

function verdict({
  verdict: said,
  code,
  decided_by: by,
  conditions,
  operation,
  protocol,
}: WhyData['callers'][number]): VNode {
  const isAllowed = said === 'allowed';
  return el(
    'section',
    { class: 'notice', key: `${protocol} ${operation}` },
    el(
      'div',
      null,
      facts([
        ['Request', `${operation} (${protocol === 'rest' ? 'REST' : 'gRPC'})`],
        ['Verdict', [badge(isAllowed ? 'good' : 'bad', isAllowed ? 'allowed' : 'refused'), ' ', code]],
        ['Decided by', decidedText(by)],
        ['Conditions', lines(conditions)],
      ]),
    ),
  );
}

function firstPlace({ allowed }: Cell): string {
  const first = typeof allowed === 'string' ? undefined : allowed.find((name) => !name.endsWith('*'));
  return first ?? 'docs';
}
