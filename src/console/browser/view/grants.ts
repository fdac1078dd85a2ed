import type { VNode } from 'preact';
import { button } from './buttons.ts';
import { el } from './dom.ts';
import { icon } from './icons.ts';

/** Access to a collection, or to all whose names begin so. */
export interface Grant {
  readonly collection: string;
  readonly access: string;
}

const MODES = [
  ['r', 'read'],
  ['rw', 'read and write'],
  ['prw', 'points only: read and write'],
] as const;

export interface GrantFieldsProps {
  readonly label: string;
  readonly grants: readonly Grant[];
  readonly onChange: (grants: readonly Grant[]) => void;
  /** Names to choose from; others may be typed. */
  readonly names?: readonly string[];
}

/** Rows of collections with the access to each. */
export function grantFields({ label, grants, onChange, names = [] }: GrantFieldsProps): VNode {
  const set = (at: number, part: Partial<Grant>): void =>
    onChange(grants.map((one, own) => (own === at ? { ...one, ...part } : one)));
  const row = ({ collection, access }: Grant, at: number): VNode =>
    el(
      'div',
      { class: 'grant', key: at },
      el('input', {
        ...{ type: 'text', value: collection, list: 'collections-seen', autocomplete: 'off', spellcheck: false },
        ...{ placeholder: 'name of a collection', 'aria-label': `Collection ${at + 1}`, required: true },
        onInput: (event) => set(at, { collection: event.currentTarget.value }),
      }),
      el(
        'select',
        {
          value: access,
          'aria-label': `Access to collection ${at + 1}`,
          onChange: (event) => set(at, { access: event.currentTarget.value }),
        },
        MODES.map(([mode, text]) => el('option', { value: mode, selected: mode === access }, `${text} (${mode})`)),
      ),
      el(
        'button',
        {
          ...{
            type: 'button',
            class: 'plain',
            'aria-label': `Remove collection ${at + 1}`,
            disabled: grants.length === 1,
          },
          onClick: () => onChange(grants.filter((_, own) => own !== at)),
        },
        icon('close'),
      ),
    );
  const add = (): void => onChange([...grants, { collection: '', access: 'r' }]);
  return el(
    'fieldset',
    null,
    el('legend', null, label),
    el(
      'datalist',
      { id: 'collections-seen' },
      names.map((name) => el('option', { value: name })),
    ),
    el('div', { class: 'grants' }, grants.map(row)),
    el('div', { class: 'row' }, button({ text: 'Add a collection', symbol: 'plus', small: true, onPress: add })),
  );
}
