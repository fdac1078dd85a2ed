import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Tried, TryOptions, TryRequest } from '../../api/questions.ts';
import type { PageProps } from '../place.ts';
import { button, codeBlock } from '../view/buttons.ts';
import { el } from '../view/dom.ts';
import { areaField, choiceField, segments, textField } from '../view/fields.ts';
import { useAct, useAsked } from '../view/hooks.ts';
import { badge, card, empty, facts, notice, pageHead, problemsBox } from '../view/parts.ts';
import { decidedText } from './decided.ts';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

interface Draft {
  readonly protocol: 'rest' | 'grpc';
  readonly method: string;
  readonly path: string;
  readonly call: string;
  readonly body: string;
  readonly who: 'key' | 'claims' | 'credential';
  readonly key: string;
  readonly claims: string;
  readonly credential: string;
}

const FIRST: Draft = {
  ...{ protocol: 'rest', method: 'POST', path: '/collections/docs/points/query', call: 'Points/Search' },
  ...{ body: '{"query": [0.1, 0.2, 0.3, 0.4], "limit": 5}', who: 'key', key: 'anonymous' },
  ...{ claims: '{"access": [{"collection": "docs", "access": "r"}], "subject": "shop"}', credential: '' },
};

/** The verdict on a request that is not sent. */
export function TryIt(_props: PageProps): VNode {
  const options = useAsked<TryOptions>('try/options');
  const [draft, setDraft] = useState<Draft>(FIRST);
  const { run, busy, done, problems } = useAct<TryRequest, Tried>('try');
  const change = (part: Partial<Draft>): void => setDraft((old) => ({ ...old, ...part }));
  const submit = (event: Event): void => {
    event.preventDefault();
    void run(requestOf(draft));
  };
  return el(
    'div',
    { class: 'stack' },
    pageHead(
      'Try it',
      'Would this request be allowed? The gateway decides on it as on a real one, and sends nothing to Qdrant.',
    ),
    problemsBox(options.problems, options.again),
    el(
      'div',
      { class: 'two' },
      card(
        undefined,
        el(
          'form',
          { onSubmit: submit },
          segments(
            'Protocol',
            draft.protocol,
            [
              ['rest', 'REST'],
              ['grpc', 'gRPC'],
            ],
            (protocol) => change({ protocol: protocol as Draft['protocol'] }),
          ),
          draft.protocol === 'rest' ? restFields(draft, change) : grpcField(draft, options.value, change),
          areaField({
            label: draft.protocol === 'rest' ? 'Body' : 'Message, as JSON',
            value: draft.body,
            onText: (body) => change({ body }),
            rows: 5,
            hint: 'Collections that it names are decided on, too.',
          }),
          callerFields(draft, options.value, change),
          problemsBox(problems),
          el('div', { class: 'row' }, button({ text: busy ? 'Asking' : 'Ask', kind: 'main', submit: true, busy })),
        ),
      ),
      done
        ? answer(done)
        : card(
            undefined,
            empty(
              'Ask about a request',
              'You see the verdict, the rule or grant that decides, what a tenant’s request becomes, and the exact answer that the client would get.',
            ),
          ),
    ),
  );
}

type Change = (part: Partial<Draft>) => void;

function restFields({ method, path }: Draft, change: Change): VNode {
  return el(
    'div',
    { class: 'row method' },
    choiceField(
      'Method',
      method,
      METHODS.map((one) => [one, one] as const),
      (one) => change({ method: one }),
    ),
    textField({ label: 'Path', value: path, onText: (one) => change({ path: one }), mono: true }),
  );
}

function grpcField({ call }: Draft, options: TryOptions | undefined, change: Change): VNode {
  return el(
    'div',
    null,
    el(
      'datalist',
      { id: 'grpc-methods' },
      (options?.grpc_methods ?? []).map((name) => el('option', { value: name })),
    ),
    textField({
      label: 'Method',
      value: call,
      onText: (one) => change({ call: one }),
      mono: true,
      list: 'grpc-methods',
      hint: 'Service/Method, such as Points/Upsert.',
    }),
  );
}

function callerFields(draft: Draft, options: TryOptions | undefined, change: Change): VNode {
  const keys = (options?.callers ?? []).map(({ id, text }) => [id, text] as const);
  return el(
    'div',
    { class: 'form' },
    segments(
      'Asked by',
      draft.who,
      [
        ['key', 'A key'],
        ['claims', 'A token with these claims'],
        ['credential', 'A credential I have'],
      ],
      (who) => change({ who: who as Draft['who'] }),
    ),
    draft.who === 'key' && choiceField('Key', draft.key, keys, (key) => change({ key }), 'Its text is not needed.'),
    draft.who === 'claims' &&
      areaField({ label: 'Claims, as JSON', value: draft.claims, onText: (claims) => change({ claims }), rows: 3 }),
    draft.who === 'credential' &&
      textField({
        label: 'Key or token',
        value: draft.credential,
        onText: (credential) => change({ credential }),
        type: 'password',
        hint: 'It is sent to this gateway alone, and not kept.',
      }),
  );
}

function requestOf({ protocol, method, path, call, body, who, key, claims, credential }: Draft): TryRequest {
  const asked = who === 'credential' ? { credential } : { as: who === 'key' ? key : claims };
  const text = body.trim() === '' || (protocol === 'rest' && method === 'GET') ? {} : { body };
  return protocol === 'rest'
    ? { protocol, method, target: path, ...text, ...asked }
    : { protocol, target: call, ...text, ...asked };
}

function answer(tried: Tried): VNode {
  const {
    verdict,
    code,
    means,
    remedy,
    decided_by: by,
    principal,
    operation,
    method,
    collection,
    names,
    cost,
    limits,
    bounds,
    filtered,
    sent_instead: sent,
    would_deny: shadowed,
    assumptions,
    answer: heard,
  } = tried;
  const isAllowed = verdict === 'allowed';
  return card(
    undefined,
    el(
      'div',
      { class: 'stack', 'aria-live': 'polite' },
      el(
        'div',
        { class: 'row center' },
        el('h2', null, isAllowed ? 'Allowed' : 'Refused'),
        code === undefined ? badge('good', 'nothing refuses it') : badge(isAllowed ? 'warn' : 'bad', code),
      ),
      shadowed && notice('warn', `${shadowed.rule} would refuse it, and is in shadow: ${shadowed.error}`),
      facts([
        ['Why', means],
        ['What to do', remedy],
        ['Decided by', by && decidedText(by)],
        [
          'Caller',
          principal && [principal.key_name ?? principal.key, principal.subject].filter(Boolean).join(', subject '),
        ],
        ['Operation', method === undefined || method === operation ? operation : `${operation} (${method})`],
        ['Collection', collection],
        ['Named in the body', names?.join(', ')],
        ['Cost', cost === undefined ? undefined : `${cost} vector terms`],
        ['Limits', limits?.join(', ')],
        ['Bounds', bounds?.join(', ')],
        ['Answer', filtered && 'without collections that the caller may not see'],
      ]),
      heard &&
        el(
          'div',
          { class: 'form' },
          el('h3', null, `The client gets status ${heard.status}`),
          codeBlock(heard.body, 'the answer'),
        ),
      sent &&
        el(
          'div',
          { class: 'form' },
          el('h3', null, 'Sent to Qdrant instead'),
          codeBlock(`${sent.request}\n${sent.body}`, 'the request'),
        ),
      assumptions.length > 0 &&
        el(
          'details',
          null,
          el('summary', null, 'Assumed'),
          el(
            'ul',
            { class: 'plain-list after' },
            assumptions.map((one) => el('li', { class: 'hint' }, one)),
          ),
        ),
    ),
  );
}
