import type { VNode } from 'preact';
import type { AuditEntry, Explained } from '../../api/audit.ts';
import { copyButton } from '../view/buttons.ts';
import { type Child, el, use } from '../view/dom.ts';
import { useAsked } from '../view/hooks.ts';
import { badge, facts, loading, problemsBox } from '../view/parts.ts';
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
      ['About', aboutText(entry)],
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

/** The target of a change. */
function aboutText({ minted, revoked, ...entry }: AuditEntry): string | undefined {
  const { target_key: key, target_key_name: name, target_node: node } = entry;
  const { target_session: session, target_session_name: whose, target_policy: policy, former_policy: former } = entry;
  const told = [
    key && `key ${name === undefined ? key : `${name} (${key})`}`,
    node && `node ${node}`,
    session && `session ${session}${whose === undefined ? '' : ` of ${whose}`}`,
    policy && `policy revision ${policy}, before ${former}`,
    revoked && `${revoked.kind} ${revoked.value}${revoked.subject === undefined ? '' : ` of ${revoked.subject}`}`,
    minted && `token ${minted.token_id}${minted.subject === undefined ? '' : ` of ${minted.subject}`}`,
    minted?.scope && `for ${minted.scope}`,
    minted && (minted.expires_at === 'never' ? 'which never ends' : `until ${clock(minted.expires_at)}`),
  ];
  return told.filter(Boolean).join(', ') || undefined;
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
