import type { DecidedBy } from '../../api/questions.ts';

const WORDS: Readonly<Record<string, string>> = {
  public: 'the operation is open to all',
  request: 'the form of the request',
  gateway: 'the gateway',
};

/** The part that decided, in words. */
export function decidedText({ kind, id, path }: DecidedBy): string {
  const known = WORDS[kind];
  if (known !== undefined) return known;
  switch (kind) {
    case 'credential':
      return id === undefined ? 'the credential' : `the credential, key ${id}`;
    case 'access':
      return `${id ?? 'access'}${path === undefined ? '' : `, ${path}`}`;
    case 'mode':
      return `the mode of the policy: ${id ?? ''}`;
    default:
      return id === undefined ? kind : `${kind} ${id}`;
  }
}
