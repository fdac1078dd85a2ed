const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 63n - 1n;
const INTEGER = /^[+-]?[0-9]+$/;
const OTHER_BASE = /^0(x[0-9a-fA-F]+|o[0-7]+)$/;

/** A plain YAML scalar that is no text, read for an option that takes text. */
export type ScalarText =
  /** `same` = it is the text that stands in the file. */
  | { readonly text: string; readonly same: boolean }
  /** A number that has no text worth being called one. */
  | undefined;

/**
 * The text Qdrant takes for a number or a boolean where it wants text: 64-bit integers and doubles in their shortest
 * form, without exponent.
 *
 * Upstream: config-rs over a YAML parser that knows integers, doubles, `true` and `false` (Qdrant v1.19.0).
 *
 * @param source as it stands in the file
 */
export function textOfScalar(source: string, value: unknown): ScalarText {
  const text = typeof value === 'boolean' ? source : numberText(source);
  return text === undefined ? undefined : { text, same: text === source };
}

function numberText(source: string): string | undefined {
  if (INTEGER.test(source) || OTHER_BASE.test(source)) {
    const whole = source.startsWith('+') ? BigInt(source.slice(1)) : BigInt(source);
    if (whole >= MIN_INTEGER && whole <= MAX_INTEGER) return whole.toString();
  }
  const double = Number(source);
  const text = String(double);
  return Number.isFinite(double) && /^-?[0-9.]+$/.test(text) && !Object.is(double, -0) ? text : undefined;
}
