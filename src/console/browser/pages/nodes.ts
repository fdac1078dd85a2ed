import type { VNode } from 'preact';
import type { OverviewNode } from '../../api/overview.ts';
import { confirmButton } from '../view/confirm.ts';
import { type Child, el, use } from '../view/dom.ts';
import { useAct } from '../view/hooks.ts';
import { badge, card, notice, problemsBox, type Tone } from '../view/parts.ts';
import { rowOf, tableOf } from '../view/tables.ts';
import { count } from '../view/times.ts';

const TONES: Readonly<Record<string, Tone>> = {
  up: 'good',
  rising: 'accent',
  drained: 'plain',
  ejected: 'bad',
  gone: 'bad',
};
const HEADS = ['Node', 'State', 'Release', 'Open', 'Requests', 'Failures'];

interface NodesProps {
  readonly nodes: readonly OverviewNode[];
  /** Drained nodes that are not in the list now. */
  readonly absent: readonly string[];
  readonly mayChange: boolean;
  readonly again: () => void;
}

/** The nodes of Qdrant; each is drained and taken in again. */
export function Nodes({ nodes, absent, mayChange, again }: NodesProps): VNode {
  const rows = nodes.map((node) => use(Row, { key: node.name, node, mayChange, again }));
  return card(
    'Nodes of Qdrant',
    absent.length > 0 &&
      el(
        'div',
        { class: 'stack' },
        notice('info', `Drained, and not in the list of nodes now: ${absent.join(', ')}.`),
        el('span'),
      ),
    tableOf(mayChange ? [...HEADS, 'Change'] : HEADS, rows, 'Nodes of Qdrant'),
  );
}

interface RowProps {
  readonly node: OverviewNode;
  readonly mayChange: boolean;
  readonly again: () => void;
}

function Row({ node, mayChange, again }: RowProps): VNode {
  const { name, state, drained, version, open, requests, failures } = node;
  const { run, busy, problems } = useAct<{ node: string }, object>(drained ? 'nodes/undrain' : 'nodes/drain');
  const cells: readonly Child[] = [
    el('code', null, name),
    badge(TONES[state] ?? 'plain', state),
    ...[version ?? '–', count(open), count(requests), count(failures)],
  ];
  const change = (): void => void run({ node: name }).then(again);
  const act = el(
    'div',
    null,
    drained
      ? confirmButton({
          ...{ text: 'Take in', hears: `Take ${name} in again`, kind: 'quiet', busy, onYes: change },
          ...{ question: 'Send it requests again?', yes: 'Yes, take it in', no: 'Leave it out' },
        })
      : confirmButton({
          ...{ text: 'Drain', hears: `Drain ${name}`, kind: 'quiet', busy, onYes: change },
          ...{ question: 'Send it no new requests?', yes: 'Yes, drain it', no: 'Keep it' },
        }),
    problemsBox(problems),
  );
  return rowOf(HEADS, cells, mayChange && act);
}
