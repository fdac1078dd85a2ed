import type { Config } from '../config/schema.ts';
import type { Output } from './output.ts';

const WIDTH = 72;

/** Prints a box on standard error in `shadow` and `learn` mode, because the gateway then protects nothing. */
export function warnUnprotected(output: Output, gateway: Config['gateway']): void {
  const { mode, learn_file: learnFile } = gateway;
  if (mode === 'enforce') return;
  const more =
    mode === 'learn'
      ? [`The smallest policy for the requests seen is written to`, learnFile]
      : ['Requests that would be refused are counted.'];
  const lines = [
    unprotectedText(gateway),
    'Requests without a key, with a wrong key or without the required',
    'access are forwarded to Qdrant.',
    ...(gateway.upstream.compare ? ['Qdrant decides, by the credential of each caller.'] : []),
    ...more,
    'Set gateway.mode to enforce to protect it.',
  ];
  const rule = '!'.repeat(WIDTH);
  const boxed = lines.map((line) => `! ${line.padEnd(WIDTH - 4)} !`);
  output.err(`${[rule, ...boxed, rule].join('\n')}\n`);
}

/** The same in one line, for a log that a program reads. */
export function unprotectedText({ mode, upstream }: Config['gateway']): string {
  return `${upstream.compare ? 'THE GATEWAY PROTECTS NOTHING' : 'NOTHING IS PROTECTED'}: gateway.mode is ${mode}.`;
}
