import type { Answer } from '../../explain/answer.ts';
import type { DecidedBy } from '../../explain/decided-by.ts';
import { printable } from '../../text/printable.ts';

type Line = readonly [name: string, text: string | undefined];

/** An answer as lines for a person. @param asked the request in one line */
export function answerText(answer: Answer, asked: string): string {
  const { verdict, code, collection, names, cost, limits, bounds, filtered, assumptions, means, remedy } = answer;
  const lines: readonly Line[] = [
    ['request', asked],
    ['caller', callerText(answer)],
    ['operation', operationText(answer)],
    ['collection', collection],
    ['names', names && `${names.join(', ')} (in the body)`],
    ['decided by', answer.decided_by && decidedText(answer.decided_by)],
    ['means', means],
    ['next', remedy],
    ['answer', answer.answer && heardText(answer)],
    ['filtered', filtered && 'collections that the caller may not see are taken out of the answer'],
    ['cost', cost === undefined ? undefined : `${cost} vector terms`],
    ['limits', limits?.join(', ')],
    ['bounds', bounds?.join(', ')],
    ...sentLines(answer),
    ['shadow', answer.would_deny && shadowText(answer.would_deny)],
  ];
  const shown = lines.flatMap(([name, text]) =>
    text === undefined ? [] : [`  ${name.padEnd(11)} ${printable(text)}\n`],
  );
  const assumed = assumptions.map((text) => `  - ${printable(text)}\n`);
  const head = code === undefined ? verdict : `${verdict}: ${code}`;
  return `${head}\n${shown.join('')}${assumed.length > 0 ? `assumed\n${assumed.join('')}` : ''}`;
}

function callerText({ principal }: Answer): string | undefined {
  if (!principal) return undefined;
  const { auth_type: type, key, key_name: name, subject, mappings } = principal;
  if (type === 'None') return 'any caller: no key is set';
  const named = name === undefined ? key : `${key} (${name})`;
  if (type === 'ApiKey') return `key ${named}`;
  if (mappings) return `token of the issuer ${key}, subject ${subject}, by the mappings ${mappings.join(', ')}`;
  return `token signed with ${key}${subject === undefined ? '' : `, subject ${subject}`}`;
}

function operationText({ operation, method }: Answer): string | undefined {
  return method === undefined || operation === undefined ? operation : `${operation} (${method})`;
}

/** The part that decided, in words. */
export function decidedText({ kind, id, path }: DecidedBy): string {
  switch (kind) {
    case 'public':
      return 'the operation is open to all';
    case 'credential':
      return id === undefined ? 'the credential' : `the credential, key ${id}`;
    case 'access':
      return `${id ?? 'access'}${path === undefined ? '' : `, ${path}`}`;
    case 'mode':
      return `the mode of the policy: ${id ?? ''}`;
    case 'request':
      return 'the form of the request';
    case 'gateway':
      return 'the gateway';
    default:
      return id === undefined ? kind : `${kind} ${id}`;
  }
}

function heardText({ protocol, answer }: Answer): string {
  if (!answer) return '';
  const status = protocol === 'grpc' ? `gRPC code ${answer.status}` : `HTTP ${answer.status}`;
  return answer.body === '' ? status : `${status} ${answer.body}`;
}

function sentLines({ sent_instead: sent }: Answer): readonly Line[] {
  if (!sent) return [];
  const checks = sent.checks?.map(({ collection, ids }) => `${ids.join(', ')} in ${collection}`).join('; ');
  return [
    ['sent', sent.request],
    ['', sent.body === '' ? undefined : sent.body],
    ['after', checks && `the points exist for the tenant: ${checks}`],
    ['answer', sent.answer && `changed: ${sent.answer}`],
  ];
}

function shadowText({ rule, code, error }: NonNullable<Answer['would_deny']>): string {
  return `${rule} would deny: ${code}: ${error}`;
}
