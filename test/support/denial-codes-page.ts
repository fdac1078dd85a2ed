import { writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { DENIAL_CODES, type DenialCode, reasonOf } from '../../src/policy/denial-codes.ts';

export const PAGE = fileURLToPath(new URL('../../docs/reference/denial-codes.md', import.meta.url));

/** The reference page of all refusals, as Markdown. `npm run docs:denials` writes it. */
export function denialCodesPage(): string {
  const codes = Object.keys(DENIAL_CODES) as DenialCode[];
  return [
    '# Denial codes',
    '',
    'Generated from `src/policy/denial-codes.ts` by `npm run docs:denials`; do not edit.',
    '',
    'Each refusal has one code. It stands as `code` in audit events, in the log at level info, in `qdrant_gateway_requests_total`',
    'and in the output of `token inspect`; `reason` is the coarser label of that metric. Clients read the texts and statuses of',
    'Qdrant, which do not name the code. What never becomes a request has a `fault` instead, see [metrics](metrics.md).',
    '',
    '| code | kind | reason | meaning | next step |',
    '|---|---|---|---|---|',
    ...codes.map((code) => {
      const { kind, means, remedy } = DENIAL_CODES[code];
      return `| \`${code}\` | ${kind} | \`${reasonOf(code)}\` | ${means} | ${remedy} |`;
    }),
    '',
  ].join('\n');
}

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, denialCodesPage());
