const FORM = /^(?:0|-?[1-9]\d{0,19})$/;
/** The most characters of an integer of 64 bits. */
export const MOST_INTEGER_LENGTH = 20;
const LEAST = -(2n ** 63n);
const MOST = 2n ** 64n - 1n;
const MOST_SIGNED = 2n ** 63n - 1n;

/**
 * An integer of 64 bits, with a sign or without one, from its text as JSON has it; `undefined` = any other number. A client chooses the
 * length of a number, and `BigInt` takes time that grows with its square: nothing longer gets there.
 */
export function integerOf(text: string): bigint | undefined {
  const value = text.length <= MOST_INTEGER_LENGTH && FORM.test(text) ? BigInt(text) : undefined;
  return value !== undefined && value >= LEAST && value <= MOST ? value : undefined;
}

/** The same with a sign: at most 2^63 - 1. */
export function signedIntegerOf(text: string): bigint | undefined {
  const value = integerOf(text);
  return value !== undefined && value <= MOST_SIGNED ? value : undefined;
}
