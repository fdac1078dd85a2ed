import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { KeyAnswer, KeyList, KeyOptions, KeyRow } from '../../api/keys.ts';
import type { PageProps } from '../place.ts';
import { button, codeBlock } from '../view/buttons.ts';
import { dialog } from '../view/dialog.ts';
import { type Child, classes, el, use } from '../view/dom.ts';
import { useAsked } from '../view/hooks.ts';
import { badge, card, empty, loading, notice, pageHead, problemsBox, type Tone } from '../view/parts.ts';
import { tableOf } from '../view/tables.ts';
import { away, clock } from '../view/times.ts';
import { KeyDetails } from './key-details.ts';
import { KeyForm } from './key-form.ts';

const EVERY_MS = 5000;

/** Named keys: made, rotated, disabled and looked at. */
export function Keys({ session }: PageProps): VNode {
  const list = useAsked<KeyList>('keys', EVERY_MS);
  const options = useAsked<KeyOptions>('keys/options');
  const [open, setOpen] = useState<string | undefined>(undefined);
  const [makes, setMakes] = useState(false);
  const [told, setTold] = useState<KeyAnswer | undefined>(undefined);
  const mayChange = session.role === 'full' && options.value?.place !== null && options.value !== undefined;
  const done = (answer: KeyAnswer): void => {
    setMakes(false);
    if (answer.text !== undefined) setOpen(undefined);
    setTold(answer);
    list.again();
  };
  return el(
    'div',
    { class: 'stack' },
    pageHead(
      'Keys',
      'A named key belongs to one client. It can be rotated, disabled and ended by itself, without a change for any other client.',
      mayChange && button({ text: 'Make a key', kind: 'main', symbol: 'plus', onPress: () => setMakes(true) }),
    ),
    problemsBox([...list.problems, ...options.problems], list.again),
    told?.text !== undefined && newText(told, () => setTold(undefined)),
    told &&
      !told.in_force &&
      notice('warn', `Written, but not in force on this gateway yet: ${told.problems.join('; ')}`),
    card(
      undefined,
      listed(
        list.value,
        options.value,
        list.problems.length > 0,
        mayChange ? () => setMakes(true) : undefined,
        setOpen,
      ),
    ),
    makes &&
      options.value &&
      dialog({
        title: 'Make a key',
        onClose: () => setMakes(false),
        children: use(KeyForm, { options: options.value, onDone: done }),
      }),
    open !== undefined &&
      dialog({
        title: 'Key',
        drawer: true,
        onClose: () => setOpen(undefined),
        children: use(KeyDetails, { id: open, mayChange, onDone: done }),
      }),
  );
}

function newText({ text = '', key }: KeyAnswer, close: () => void): VNode {
  return card(
    `The text of ${key.name}`,
    el(
      'div',
      { class: 'stack' },
      codeBlock(text, 'the text of the key'),
      el(
        'p',
        { class: 'hint' },
        'Copy it now: it is shown once, and only a hash of it is kept. Clients send it as their api-key.',
      ),
      el('div', { class: 'row' }, button({ text: 'I have copied it', onPress: close })),
    ),
  );
}

const HEADS = ['Name', 'State', 'Owner', 'Ends', 'Last used', 'Text'];
const TONES: Readonly<Record<KeyRow['state'], Tone>> = {
  active: 'good',
  disabled: 'warn',
  expired: 'bad',
  'not yet valid': 'accent',
};

function listed(
  list: KeyList | undefined,
  options: KeyOptions | undefined,
  failed: boolean,
  make: (() => void) | undefined,
  open: (id: string) => void,
): Child {
  if (!list || !options) return failed ? null : loading('the keys', 5);
  if (options.place === null && list.keys.length === 0) {
    return empty('Named keys have no place yet', [
      'Set ',
      el('code', null, 'gateway.keys_file'),
      ' to a file that the gateway may write, then restart it. Keys of clients then live there, as hashes.',
    ]);
  }
  if (list.keys.length === 0) {
    return empty(
      'No named keys yet',
      'Give each client a key of its own, with no more access than it needs.',
      make && button({ text: 'Make the first key', kind: 'main', onPress: make }),
    );
  }
  return [
    tableOf(
      HEADS,
      list.keys.map((key) => row(key, () => open(key.id))),
      'Named keys',
    ),
    list.total > list.keys.length &&
      el('p', { class: 'hint after' }, `The first ${list.keys.length} of ${list.total}.`),
  ];
}

function row(key: KeyRow, open: () => void): VNode {
  const { id, name, state, owner, expires_at: end, last_used: used, postfix } = key;
  const cell = (at: number, child: Child, className = ''): VNode =>
    el('td', { 'data-name': HEADS[at] ?? '', class: className }, child);
  return el(
    'tr',
    { key: id, class: classes('press'), onClick: open },
    cell(
      0,
      el(
        'div',
        null,
        el('button', { type: 'button', class: 'link', onClick: open }, el('b', null, name)),
        el('div', { class: 'hint' }, id),
      ),
    ),
    cell(1, [badge(TONES[state], state), key.break_glass && [' ', badge('warn', 'break-glass')]]),
    cell(2, owner ?? '–'),
    cell(3, end === null ? 'never' : el('time', { dateTime: end, title: clock(end) }, away(end)), 'tight'),
    cell(4, used === null ? 'not seen' : el('time', { dateTime: used, title: clock(used) }, away(used)), 'tight'),
    cell(5, postfix === null ? '–' : el('code', null, `…${postfix}`), 'tight wide-only'),
  );
}
