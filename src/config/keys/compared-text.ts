import type { NamedKeySettings } from '../../policy/named-key.ts';

const known = new WeakMap<NamedKeySettings, string>();

/** A text that is equal for equal named keys; for comparison only. It is made once for each object. */
export function comparedText(key: NamedKeySettings): string {
  const text = known.get(key) ?? JSON.stringify(key);
  known.set(key, text);
  return text;
}
