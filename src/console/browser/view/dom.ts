import { type ComponentChild, h, type JSX, type VNode } from 'preact';
import { printable, printableLines } from '../../../text/printable.ts';

/*
 * The one place that makes elements. INVARIANT: every text that is shown passes `printable`, and there is no way to give markup,
 * so that a name that a caller chose neither runs nor moves, hides or reorders other text.
 */

export type Child = VNode | string | number | null | undefined | false | readonly Child[];
type Tag = keyof JSX.IntrinsicElements;
type Props<T extends Tag> = Omit<JSX.IntrinsicElements[T], 'dangerouslySetInnerHTML' | 'children'> & {
  readonly [name: `data-${string}`]: string;
};

/** Attributes that a person reads or hears. */
const TOLD = ['title', 'aria-label', 'placeholder', 'alt', 'aria-description'];

/** An element with these attributes and children. */
export function el<T extends Tag>(tag: T, props?: Props<T> | null, ...children: readonly Child[]): VNode {
  const given: Record<string, unknown> = { ...props };
  for (const name of TOLD) {
    const text = given[name];
    if (typeof text === 'string') given[name] = printable(text);
  }
  // Links lead to places of this page and of this origin, whatever text they are made from.
  if (typeof given.href === 'string' && !/^(?:#|\/(?!\/))/.test(given.href)) delete given.href;
  return h(tag, given, ...children.map((child) => shown(child, tag === 'pre' ? printableLines : printable)));
}

/** A component with these properties. */
export function use<P extends object>(
  component: (props: P) => VNode | null,
  props: P & { key?: string | number },
): VNode {
  return h(component, props) as VNode;
}

function shown(child: Child, safe: (text: string) => string): ComponentChild {
  if (child === undefined || child === null || child === false) return null;
  if (typeof child === 'string') return safe(child);
  return isList(child) ? child.map((one) => shown(one, safe)) : child;
}

function isList(child: VNode | number | readonly Child[]): child is readonly Child[] {
  return Array.isArray(child);
}

/** Names of classes, without those that do not apply. */
export function classes(...names: readonly (string | false | undefined)[]): string {
  return names.filter(Boolean).join(' ');
}
