/** The callers that an entry of the policy is for. */
export interface Callers {
  /** Key ids; `undefined` = all. */
  readonly keys: ReadonlySet<string> | undefined;
  /** `subject` claims; the empty text stands for callers without a subject, including keys. `undefined` = all. */
  readonly subjects: ReadonlySet<string> | undefined;
}

/** A caller, as entries are compared with it. */
export interface Caller {
  readonly keyId: string;
  readonly subject: string | undefined;
}

/** True = the entry is for this caller: key id and subject both match. */
export function isFor({ keys, subjects }: Callers, { keyId, subject }: Caller): boolean {
  if (keys && !keys.has(keyId)) return false;
  return !subjects || subjects.has(subject ?? '');
}
