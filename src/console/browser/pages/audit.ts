import type { VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { AuditEntry, AuditPage } from '../../api/audit.ts';
import { ask, problemsOf } from '../api.ts';
import { type PageProps, parametersOf } from '../place.ts';
import { button } from '../view/buttons.ts';
import { dialog } from '../view/dialog.ts';
import { type Child, classes, el } from '../view/dom.ts';
import { segments, textField } from '../view/fields.ts';
import { badge, card, empty, loading, pageHead, problemsBox } from '../view/parts.ts';
import { tableOf } from '../view/tables.ts';
import { duration, shortClock } from '../view/times.ts';
import { entryDetails } from './audit-entry.ts';

const EVERY_MS = 1500;
/** Letters of a filter come one after the other. */
const TYPED_MS = 250;
const MOST_ROWS = 300;
/** Rows that are drawn until more are asked for. */
const ROWS_AT_ONCE = 50;

/** Filters as the server takes them; an empty text filters nothing. */
interface Filter {
  readonly result: string;
  readonly collection: string;
  readonly operation: string;
  readonly subject: string;
  readonly code: string;
  readonly id: string;
}

const NO_FILTER: Filter = { result: '', collection: '', operation: '', subject: '', code: '', id: '' };
const FIELDS = [
  ['collection', 'Collection', 'docs-*'],
  ['operation', 'Operation', 'query_points'],
  ['subject', 'Subject', 'shop'],
  ['code', 'Code', 'token_revoked'],
  ['id', 'Request id', ''],
] as const;

/** True = a phone: filters are folded, so that the first requests are on the screen. */
const isNarrow = matchMedia('(width <= 560px)').matches;

/** The requests as they come in, and why each was allowed or refused. */
export function Audit({ place }: PageProps): VNode {
  const [filter, setFilter] = useState<Filter>(() => ({ ...NO_FILTER, id: parametersOf(place).get('id') ?? '' }));
  const [live, setLive] = useState(true);
  const [refusedFirst, setRefusedFirst] = useState(false);
  const [open, setOpen] = useState<AuditEntry | undefined>(undefined);
  const [most, setMost] = useState(ROWS_AT_ONCE);
  const { page, problems, again } = useTail(filter, live);
  const set = (name: keyof Filter) => (text: string) => setFilter((old) => ({ ...old, [name]: text }));
  const isFiltered = Object.values(filter).some((text) => text !== '');
  const filters = el(
    'div',
    { class: 'form' },
    el(
      'div',
      { class: 'row bottom' },
      segments(
        'Show',
        filter.result,
        [
          ['', 'All'],
          ['denied', 'Refused'],
          ['ok', 'Allowed'],
        ],
        set('result'),
      ),
      el(
        'label',
        { class: 'check' },
        el('input', { type: 'checkbox', checked: refusedFirst, onChange: () => setRefusedFirst(!refusedFirst) }),
        'Refused first',
      ),
    ),
    el(
      'details',
      { open: !isNarrow || isFiltered },
      el('summary', null, 'Filters'),
      el(
        'div',
        { class: 'filters' },
        FIELDS.map(([name, label, placeholder]) =>
          textField({
            ...{ label, value: filter[name], onText: set(name), placeholder, type: 'search', mono: name === 'id' },
          }),
        ),
      ),
    ),
  );
  return el(
    'div',
    { class: 'stack' },
    pageHead(
      'Audit',
      'Requests as they come in. Press one to see who asked for what, and why it was allowed or refused.',
      el('span', { class: classes('live', live && problems.length === 0 && 'on') }, live ? 'Live' : 'Paused'),
      button({ text: live ? 'Pause' : 'Go on', small: true, onPress: () => setLive(!live) }),
    ),
    problemsBox(problems, again),
    page?.on === false
      ? card(
          undefined,
          empty('The audit log is off', [
            'Set ',
            el('code', null, 'audit.enabled: true'),
            ' in the configuration and restart the gateway: requests then appear here.',
          ]),
        )
      : [
          card(undefined, filters),
          card(
            undefined,
            entriesOf({
              page,
              refusedFirst,
              isFiltered,
              failed: problems.length > 0,
              open: setOpen,
              clear: () => setFilter(NO_FILTER),
              most,
              more: () => setMost(most + ROWS_AT_ONCE),
            }),
          ),
        ],
    open &&
      dialog({ title: titleOf(open), drawer: true, onClose: () => setOpen(undefined), children: entryDetails(open) }),
  );
}

interface Tail {
  readonly page: { readonly on: boolean; readonly entries: readonly AuditEntry[] } | undefined;
  readonly problems: readonly string[];
  readonly again: () => void;
}

/** Follows the log: new entries stand before those that are there. */
function useTail(filter: Filter, live: boolean): Tail {
  const [page, setPage] = useState<Tail['page']>(undefined);
  const [problems, setProblems] = useState<readonly string[]>([]);
  const [turn, setTurn] = useState(0);
  const next = useRef('');
  const asked = useRef('');
  const query = useMemo(() => {
    const given = Object.entries(filter).filter(([, text]) => text.trim() !== '');
    return new URLSearchParams(given.map(([name, text]) => [name, text.trim()])).toString();
  }, [filter]);
  useEffect(() => {
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const isTyped = asked.current !== query;
    if (isTyped) next.current = '';
    asked.current = query;
    const take = (found: AuditPage): void => {
      setProblems([]);
      if (!found.on) {
        setPage({ on: false, entries: [] });
        return;
      }
      next.current = found.next;
      setPage((old) => {
        const before = found.whole ? [] : (old?.entries ?? []);
        return { on: true, entries: [...found.entries, ...before].slice(0, MOST_ROWS) };
      });
    };
    const run = async (): Promise<void> => {
      try {
        if (!document.hidden || next.current === '') {
          const after = new URLSearchParams(next.current === '' ? {} : { after: next.current }).toString();
          const found = await ask<AuditPage>(
            `audit?${[query, after].filter(Boolean).join('&')}`,
            undefined,
            ended.signal,
          );
          if (!ended.signal.aborted) take(found);
        }
      } catch (error) {
        if (!ended.signal.aborted) setProblems(problemsOf(error));
      }
      if (live && !ended.signal.aborted) timer = setTimeout(run, EVERY_MS);
    };
    timer = setTimeout(run, isTyped && query !== '' ? TYPED_MS : 0);
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
  }, [query, live, turn]);
  return { page, problems, again: () => setTurn((one) => one + 1) };
}

interface Entries {
  readonly page: Tail['page'];
  readonly refusedFirst: boolean;
  readonly isFiltered: boolean;
  readonly failed: boolean;
  readonly open: (entry: AuditEntry) => void;
  readonly clear: () => void;
  /** Rows that are drawn. */
  readonly most: number;
  readonly more: () => void;
}

const HEADS = ['Time', 'Result', 'Operation', 'Collection', 'Caller', 'From', 'Took'];

function entriesOf({ page, refusedFirst, isFiltered, failed, open, clear, most, more }: Entries): Child {
  if (!page) return failed ? null : loading('the requests', 6);
  const { entries } = page;
  if (entries.length === 0 && isFiltered) {
    const sentence = 'Nothing in the recent log fits these filters. A name may end in * for all that begin so.';
    return empty('No request fits', sentence, button({ text: 'Clear the filters', onPress: clear }));
  }
  if (entries.length === 0) {
    const sentence =
      'Send one through the gateway, for example with a token from the page Tokens: it appears here within seconds.';
    return empty('No requests yet', sentence, el('a', { href: '#/tokens' }, 'Make a token'));
  }
  const shown = refusedFirst
    ? entries.toSorted((left, right) => Number(isRefused(right)) - Number(isRefused(left)))
    : entries;
  const rows = shown.slice(0, most).map((entry) => row(entry, () => open(entry)));
  return [
    tableOf(HEADS, rows, 'Requests, the newest first', true),
    shown.length > most &&
      el('div', { class: 'row center' }, button({ text: `Show more of ${shown.length}`, onPress: more })),
  ];
}

function isRefused({ result }: AuditEntry): boolean {
  return result === 'denied';
}

function titleOf({ method, operation }: AuditEntry): string {
  return method ?? operation ?? 'Request';
}

function row(entry: AuditEntry, open: () => void): VNode {
  const { timestamp, collection, collections = [], remote, duration_ms: took, id } = entry;
  const first = collection ?? collections[0] ?? '–';
  const names = collections.length > 1 ? `${first} +${collections.length - 1}` : first;
  const cell = (at: number, className: string, child: Child): VNode =>
    el('td', { 'data-name': HEADS[at] ?? '', class: className }, child);
  return el(
    'tr',
    { key: id, class: classes('press', isRefused(entry) && 'refused'), onClick: open },
    cell(0, 'tight num', el('time', { dateTime: timestamp }, shortClock(timestamp))),
    cell(1, 'tight', resultBadge(entry)),
    cell(2, 'tight', el('button', { type: 'button', class: 'link', onClick: open }, titleOf(entry))),
    cell(3, '', names),
    cell(4, '', callerText(entry)),
    cell(5, 'tight wide-only', remote ?? '–'),
    cell(6, 'tight num wide-only', took === undefined ? '–' : duration(took)),
  );
}

function resultBadge({ result, code, would_deny: shadowed }: AuditEntry): VNode {
  if (result === 'denied') return badge('bad', code ?? 'refused');
  if (shadowed) return badge('warn', `would refuse: ${shadowed.code}`);
  return code === undefined ? badge('good', 'ok') : badge('warn', code);
}

function callerText({ subject, key, key_name: name, auth_type: type }: AuditEntry): string {
  const by = name === undefined ? key : `${name} (${key})`;
  if (subject !== undefined) return by === undefined ? subject : `${subject}, ${by}`;
  return by ?? (type === 'None' ? 'no accepted credential' : 'unknown');
}
