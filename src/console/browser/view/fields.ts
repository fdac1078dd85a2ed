import type { VNode } from 'preact';
import { useId } from 'preact/hooks';
import { type Child, el, use } from './dom.ts';

/** A label over a control, with a hint below it. The control gets the id. */
export function field(
  label: string,
  control: (id: string, described: string | undefined) => VNode,
  hint?: Child,
): VNode {
  return use(Field, { label, control, hint });
}

interface FieldProps {
  readonly label: string;
  readonly control: (id: string, described: string | undefined) => VNode;
  readonly hint: Child;
}

function Field({ label, control, hint }: FieldProps): VNode {
  const id = useId();
  const told = hint ? `${id}-hint` : undefined;
  return el(
    'div',
    { class: 'field' },
    el('label', { for: id }, label),
    control(id, told),
    told !== undefined && el('p', { id: told, class: 'hint' }, hint),
  );
}

export interface TextProps {
  readonly label: string;
  readonly value: string;
  readonly onText: (text: string) => void;
  readonly hint?: Child;
  readonly placeholder?: string;
  readonly list?: string;
  readonly mono?: boolean;
  readonly type?: 'text' | 'password' | 'search';
}

/** A line of text with its label. */
export function textField({ label, value, onText, hint, placeholder, list, mono, type = 'text' }: TextProps): VNode {
  return field(
    label,
    (id, described) =>
      el('input', {
        ...{ id, type, value, class: mono ? 'mono' : '', autocomplete: 'off', spellcheck: false },
        ...(described !== undefined && { 'aria-describedby': described }),
        ...(placeholder !== undefined && { placeholder }),
        ...(list !== undefined && { list }),
        onInput: (event) => onText(event.currentTarget.value),
      }),
    hint,
  );
}

/** Several lines of text with their label. */
export function areaField({ label, value, onText, hint, rows }: TextProps & { readonly rows: number }): VNode {
  return field(
    label,
    (id, described) =>
      el('textarea', {
        ...{ id, rows, value, class: 'mono', autocomplete: 'off', spellcheck: false, wrap: 'off' },
        ...(described !== undefined && { 'aria-describedby': described }),
        onInput: (event) => onText(event.currentTarget.value),
      }),
    hint,
  );
}

export type Choice = readonly [value: string, text: string];

/** A list to choose one of. */
export function choiceField(
  label: string,
  value: string,
  choices: readonly Choice[],
  onChoice: (value: string) => void,
  hint?: Child,
): VNode {
  return field(
    label,
    (id, described) =>
      el(
        'select',
        {
          id,
          value,
          onChange: (event) => onChoice(event.currentTarget.value),
          ...(described !== undefined && { 'aria-describedby': described }),
        },
        choices.map(([one, text]) => el('option', { value: one, selected: one === value }, text)),
      ),
    hint,
  );
}

/** A few choices side by side. */
export function segments(
  label: string,
  value: string,
  choices: readonly Choice[],
  onChoice: (value: string) => void,
): VNode {
  return use(Segments, { label, value, choices, onChoice });
}

/** The properties of a control that chooses one of a few. */
export interface Choosing {
  readonly label: string;
  readonly value: string;
  readonly choices: readonly Choice[];
  readonly onChoice: (value: string) => void;
}

function Segments({ label, value, choices, onChoice }: Choosing): VNode {
  const name = useId();
  return el(
    'fieldset',
    { class: 'segments' },
    el('legend', null, label),
    el(
      'div',
      null,
      choices.map(([one, text]) =>
        el(
          'label',
          { class: one === value ? 'on' : '' },
          el('input', { type: 'radio', name, value: one, checked: one === value, onChange: () => onChoice(one) }),
          text,
        ),
      ),
    ),
  );
}
