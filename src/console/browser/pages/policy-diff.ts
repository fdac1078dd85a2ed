import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Diff, DiffJob } from '../../api/questions.ts';
import { button } from '../view/buttons.ts';
import { type Child, el, use } from '../view/dom.ts';
import { useAct, useAsked } from '../view/hooks.ts';
import { badge, empty, facts, lines, notice, problemsBox, type Tone } from '../view/parts.ts';

const EVERY_MS = 700;

export interface PolicyDiffProps {
  readonly draft: string;
  readonly isChanged: boolean;
}

/** Every verdict that a draft changes. */
export function PolicyDiff({ draft, isChanged }: PolicyDiffProps): VNode {
  const { run, busy, done, problems } = useAct<{ draft: string }, { job: string }>('policy/diff');
  const [asked, setAsked] = useState('');
  const compare = (): void => {
    setAsked(draft);
    void run({ draft });
  };
  return el(
    'div',
    { class: 'form' },
    el(
      'p',
      { class: 'hint' },
      'Every caller, operation and class of collections is asked under both policies: nothing is sampled.',
    ),
    el(
      'div',
      { class: 'row' },
      button({ text: 'Compare with the one in force', kind: 'main', busy, disabled: !isChanged, onPress: compare }),
    ),
    problemsBox(problems),
    done
      ? use(Job, { key: done.job, id: done.job, isOld: asked !== draft })
      : !isChanged && empty('Nothing to compare', 'Change the draft: you then see who gains and who loses what.'),
  );
}

function Job({ id, isOld }: { readonly id: string; readonly isOld: boolean }): VNode {
  const [isOver, setOver] = useState(false);
  const { value, problems } = useAsked<DiffJob>(`policy/job?id=${encodeURIComponent(id)}`, isOver ? 0 : EVERY_MS);
  if (value && value.state !== 'running' && !isOver) setOver(true);
  return el(
    'div',
    { class: 'form', 'aria-live': 'polite' },
    problemsBox(problems),
    isOld && notice('info', 'The draft has changed since: compare again.'),
    value && shown(value),
  );
}

function shown(job: DiffJob): Child {
  switch (job.state) {
    case 'running':
      return [
        el('p', null, job.all === 0 ? 'Preparing' : `Asked ${job.done} of ${job.all} callers`),
        el('progress', { 'aria-label': 'Progress of the comparison', max: Math.max(job.all, 1), value: job.done }),
      ];
    case 'failed':
      return problemsBox(job.problems);
    default:
      return differences(job.diff);
  }
}

const TONES: Readonly<Record<Diff['groups'][number]['kind'], Tone>> = {
  gains: 'warn',
  loses: 'bad',
  changes: 'accent',
  'refused otherwise': 'plain',
};

function differences({ changes, groups, settings, notes, left_out: left }: Diff): Child {
  if (groups.length === 0 && settings.length === 0) return notice('good', 'No verdict changes.');
  return [
    el('h3', null, `${changes} classes of requests change`),
    groups.map((group, at) =>
      el(
        'section',
        { class: 'notice', key: at },
        el(
          'div',
          null,
          el('p', null, badge(TONES[group.kind], group.kind), ' ', group.from, ' → ', el('b', null, group.to)),
          facts([
            ['Callers', lines(group.merged_callers)],
            ['Collections', group.collections.join(', ')],
            ['Operations', group.operations.join(', ')],
          ]),
        ),
      ),
    ),
    settings.map(({ kind, part, settings: own }) =>
      el(
        'section',
        { class: 'notice', key: part },
        el(
          'div',
          null,
          el('p', null, badge('accent', kind), ' ', part),
          facts(own.map(({ setting, from, to }) => [setting, `${from ?? 'not set'} → ${to ?? 'not set'}`])),
        ),
      ),
    ),
    notes.map((note) => notice('info', note)),
    left > 0 && el('p', { class: 'hint' }, `${left} more groups: the command policy diff tells all.`),
  ];
}
