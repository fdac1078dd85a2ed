import { writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { AUDIT_EVENTS, type AuditEventCode } from '../../src/audit/event-codes.ts';

export const PAGE = fileURLToPath(new URL('../../docs/reference/audit-events.md', import.meta.url));

const HEAD: Readonly<Record<'change' | 'request', readonly string[]>> = {
  change: [
    '## Changes',
    '',
    'A change through the admin port: `remote` is the address that asked for it, `key` is `admin_token`. Or a change of named keys or a',
    'revocation that came in force from elsewhere (the command line, another gateway): `key` is `keys_file`, `keys_redis` or',
    '`revocations`.',
  ],
  request: [
    '## Requests',
    '',
    'What a request met. Most requests have no event: a plain refusal has its [code](denial-codes.md) alone.',
  ],
};

/** The reference page of all events of the audit log, as Markdown. `npm run docs:audit-events` writes it. */
export function auditEventsPage(): string {
  return [
    '# Audit events',
    '',
    'Generated from `src/audit/event-codes.ts` by `npm run docs:audit-events`; do not edit.',
    '',
    'Values of the member `event` of an entry in the [audit log](audit.md). They are stable. An entry has one at most: the first that',
    'applies, in the order of this page.',
    ...(['change', 'request'] as const).flatMap((of) => ['', ...HEAD[of], '', ...tableOf(of)]),
    '',
  ].join('\n');
}

function tableOf(of: 'change' | 'request'): readonly string[] {
  const codes = (Object.keys(AUDIT_EVENTS) as AuditEventCode[]).filter((code) => AUDIT_EVENTS[code].of === of);
  return [
    '| event | meaning | see the members |',
    '|---|---|---|',
    ...codes.map((code) => {
      const { means, more } = AUDIT_EVENTS[code];
      return `| \`${code}\` | ${means} | ${more.map((member) => `\`${member}\``).join(', ') || '-'} |`;
    }),
  ];
}

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, auditEventsPage());
