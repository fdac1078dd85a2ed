const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 63n - 1n;
const INTEGER = /^[+-]?[0-9]{1,64}$/;
const OTHER_BASE = /^0(x[0-9a-fA-F]{1,64}|o[0-7]{1,64})$/;

/** The text of a plain YAML scalar that is not a string, for an option of type text. */
export type ScalarText =
  /** `same` = equal to the text in the file. */
  | { readonly text: string; readonly same: boolean }
  /** A number without an exact text. */
  | undefined;

/**
 * The text that Qdrant derives from a number or a boolean for an option of type text: 64-bit integers, and doubles in
 * their shortest form without exponent.
 *
 * Upstream: config-rs over a YAML parser that knows integers, doubles, `true` and `false` (Qdrant v1.19.0).
 *
 * @param source the text in the file
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
