import type { Box, Diagram } from './draw.ts';

/** Steps in the order of `src/exchange/steps.ts`, with what each asks. The first seven are in the upper row. */
const STEPS: readonly (readonly [name: string, ...lines: string[]])[] = [
  ['resolve', 'which operation,', 'which collection?'],
  ['admit', 'has the audit', 'room?'],
  ['authenticate', 'who asks?'],
  ['pace', 'many calls', 'abandoned?'],
  ['decide', 'may the caller', 'do this?'],
  ['guard', 'forbidden', 'for everybody?'],
  ['tenant', 'which points?'],
  ['list', 'is it there?', '(creations)'],
  ['count', 'within', 'the limits?'],
  ['check body', 'names in', 'the body?'],
  ['settle', 'decide again', 'with them'],
  ['forward', 'one credential,', 'the decided bytes'],
  ['response filter', 'only names', 'that are listed'],
  ['record', 'audit, metrics,', 'log, span'],
];
const COLUMNS = 7;
const [LEFT, UPPER, LOWER] = [118, 62, 208];
const [STEP, WIDTH, HEIGHT] = [138, 128, 76];

const leftOf = (index: number): number => LEFT + (index % COLUMNS) * STEP;

function boxOf([name, ...lines]: (typeof STEPS)[number], index: number): Box {
  const kind = ['decide', 'settle'].includes(name) ? 'core' : 'box';
  return { at: [leftOf(index), index < COLUMNS ? UPPER : LOWER], size: [WIDTH, HEIGHT], kind, head: name, lines };
}

const end = leftOf(COLUMNS - 1) + WIDTH;
const forward = leftOf(STEPS.findIndex(([name]) => name === 'forward')) + WIDTH / 2;
const [upper, lower] = [UPPER + HEIGHT / 2, LOWER + HEIGHT / 2];

/** The way of a request, the same for both protocols. */
export const REQUEST: Diagram = {
  file: 'request.svg',
  title: 'The way of a request',
  description: `A request on REST or gRPC passes these steps in order: ${STEPS.map(([name]) => name).join(', ')}. Each step before forward may end in a refusal, which is recorded as well. Qdrant sees what was forwarded, and nothing else.`,
  size: [1094, 410],
  boxes: [
    { at: [16, 50], size: [84, 100], kind: 'frame', head: 'Client', lines: ['REST `6333`', 'gRPC `6334`', 'TLS'] },
    ...STEPS.map(boxOf),
    { at: [forward - 90, 332], size: [180, 62], kind: 'frame', head: 'Qdrant', lines: ['on a private address'] },
    {
      at: [LEFT, 332],
      size: [280, 62],
      kind: 'frame',
      head: 'Refused: 401, 403, 429',
      lines: ['any step before forward; recorded, too'],
    },
  ],
  arrows: [
    {
      points: `100,${upper} ${LEFT - 2},${upper}`,
      kind: 'way',
    },
    ...STEPS.flatMap((_, index) =>
      index % COLUMNS === COLUMNS - 1
        ? []
        : [
            {
              points: `${leftOf(index) + WIDTH},${index < COLUMNS ? upper : lower} ${leftOf(index + 1) - 1},${index < COLUMNS ? upper : lower}`,
              kind: 'way' as const,
            },
          ],
    ),
    {
      points: `${end - WIDTH / 2},${UPPER + HEIGHT} ${end - WIDTH / 2},172 ${LEFT + WIDTH / 2},172 ${LEFT + WIDTH / 2},${LOWER - 1}`,
      kind: 'way',
    },
    {
      points: `${forward - 14},${LOWER + HEIGHT} ${forward - 14},331`,
      kind: 'way',
    },
    {
      points: `${forward + 14},332 ${forward + 14},${LOWER + HEIGHT + 1}`,
      kind: 'way',
      label: { at: [forward + 50, 312], text: 'answer' },
    },
    {
      points: `${LEFT + 140},${LOWER + HEIGHT} ${LEFT + 140},331`,
      kind: 'refused',
    },
  ],
};
