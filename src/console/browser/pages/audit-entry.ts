import type { VNode } from 'preact';
import type { AuditEntry, Explained } from '../../api/audit.ts';
import { type Child, el, use } from '../view/dom.ts';
import { useAsked } from '../view/hooks.ts';
import { badge, copyButton, facts, loading, problemsBox } from '../view/parts.ts';
import { clock, duration } from '../view/times.ts';

/** One request in full, and the decision today. */
export function entryDetails(entry: AuditEntry): VNode {
  const { result, code, operation, method, api, protocol, collections, collection, error, rule, event } = entry;
  const names = collections ?? (collection === undefined ? [] : [collection]);
  const id = entry.tracing_id ?? entry.id;
  const isDenied = result === 'denied';
  return el(
    'div',
    { class: 'stack' },
    facts([
      ['Result', [badge(isDenied ? 'bad' : 'good', isDenied ? 'refused' : 'allowed'), ' ', code]],
      ['Answer', error],
      ['Decided by', rule],
      ['Shadow', entry.would_deny && `${entry.would_deny.rule} would refuse: ${entry.would_deny.error}`],
      ['Change', event],
    ]),
    protocol !== undefined && use(Why, { id: entry.id }),
    facts([
      ['Time', clock(entry.timestamp)],
      ['Caller', callerLine(entry)],
      ['From', entry.remote],
      ['Operation', method === undefined || method === operation ? operation : `${method} (${operation})`],
      ['Path', api],
      ['Protocol', protocol && PROTOCOLS[protocol]],
      ['Collections', names.join(', ')],
      ['Status', entry.status === undefined ? undefined : String(entry.status)],
      ['Took', entry.duration_ms === undefined ? undefined : duration(entry.duration_ms)],
      ['Request id', [el('code', null, id), ' ', copyButton(id, 'the request id')]],
    ]),
  );
}

const PROTOCOLS = { rest: 'REST', grpc: 'gRPC' };
const KINDS: Readonly<Record<string, string>> = {
  Jwt: 'token',
  ApiKey: 'key',
  Certificate: 'client certificate',
  None: 'no accepted credential',
};

function callerLine({ auth_type: type = '', key, key_name: name, subject }: AuditEntry): string {
  const by = name === undefined ? key : `${name} (${key})`;
  return [KINDS[type], by && `by ${by}`, subject && `subject ${subject}`].filter(Boolean).join(', ');
}

function Why({ id }: { readonly id: string }): VNode | null {
  const { value, problems, again } = useAsked<Explained>(`audit/explain?id=${encodeURIComponent(id)}`);
  if (problems.length > 0) return problemsBox(problems, again);
  if (!value) return loading('the reason', 2);
  const { means, remedy, today } = value;
  return el(
    'section',
    { class: 'notice' },
    el(
      'div',
      null,
      facts([
        ['Why', means],
        ['What to do', remedy],
        ['Decision now', nowText(today)],
      ]),
    ),
  );
}

function nowText(today: Explained['today']): Child {
  if (typeof today === 'string') return today;
  return today.map(({ verdict, callers }) =>
    el('p', null, today.length === 1 ? verdict : `${verdict}, for ${callers.join('; ')}`),
  );
}
