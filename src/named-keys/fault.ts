/** Why a change of the named keys was not made. */
export type KeyFaultKind =
  /** A field is wrong. */
  | 'invalid'
  /** No key has the id. */
  | 'unknown'
  /** A key has the id already. */
  | 'exists'
  /** The text before is accepted until a later time, as it was told to its holders. */
  | 'overlap'
  /** There is no file, or it cannot be read or written. */
  | 'file'
  /** Redis cannot be reached, or holds something else. */
  | 'redis'
  /** Another program keeps the lock. */
  | 'locked';

/** A change of the named keys that was not made: all is as it was, unless Redis did not answer. No text contains a credential. */
export class KeyFault extends Error {
  readonly code = 'ERR_KEY';
  readonly kind: KeyFaultKind;
  /** One text each. */
  readonly problems: readonly string[];
  /** The id that was probably meant. */
  readonly nearest: string | undefined;

  constructor(kind: KeyFaultKind, problems: readonly string[], nearest?: string) {
    super(problems.join('; '));
    this.name = 'KeyFault';
    this.kind = kind;
    this.problems = problems;
    this.nearest = nearest;
  }
}
