import type { Config } from '../config/schema.ts';
import type { Output } from './output.ts';

const WIDTH = 72;

/** Says it so that nobody can miss it: in `shadow` and `learn` the gateway protects nothing. */
export function warnUnprotected(output: Output, { mode, learn_file: learnFile }: Config['gateway']): void {
  if (mode === 'enforce') return;
  const more =
    mode === 'learn'
      ? [`The smallest policy for what comes is written to`, learnFile]
      : ['What would be refused is counted.'];
  const lines = [
    `NOTHING IS PROTECTED: gateway.mode is ${mode}.`,
    'Requests without a key, with a wrong one or without the access',
    'they need are let through to Qdrant.',
    ...more,
    'Set gateway.mode to enforce to protect it.',
  ];
  const rule = '!'.repeat(WIDTH);
  const boxed = lines.map((line) => `! ${line.padEnd(WIDTH - 4)} !`);
  output.err(`${[rule, ...boxed, rule].join('\n')}\n`);
}
