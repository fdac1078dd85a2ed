import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { QDRANT_VERSION } from '../../src/operations/qdrant-version.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import type { Operation } from '../../src/policy/operation.ts';
import { OPERATION_GROUPS } from '../../src/policy/operation-groups.ts';

/*
 * `docs/reference/operations.md`, from the rows of the operations:
 *
 *   node setup.mjs test/support/operations-page.ts
 */

export const PAGE = join(import.meta.dirname, '../../docs/reference/operations.md');

/** The least of what a key or token needs, in words. */
function needs({ requires: { scope, level, extras } }: Operation): string {
  switch (scope) {
    case 'public':
      return 'no credential';
    case 'authenticated':
      return 'any credential';
    case 'list':
      return 'any credential; the answer shows what is listed';
    case 'global':
      return level === 'read' ? 'global `r`' : 'global `m`';
    case 'collection':
      if (level === 'manage') return 'global `m`';
      if (level === 'write') return extras ? '`rw`' : '`prw` or `rw`';
      return extras ? '`r` or `rw`' : '`r`, `prw` or `rw`';
    default:
      return scope satisfies never;
  }
}

const groupsOf = ({ name, audit }: Operation): string =>
  Object.entries(OPERATION_GROUPS)
    .filter(([, members]) => members.includes(name) || (audit !== null && members.includes(audit)))
    .map(([group]) => `\`${group}\``)
    .join(', ');

/** Releases of Qdrant that have the operation. */
const releases = ({ since, until }: { readonly since?: string; readonly until?: string }): string =>
  `${since ?? ''}${until === undefined ? '' : ` to ${until}`}`;

function row(target: string, operation: Operation & { readonly since?: string; readonly until?: string }): string {
  const audit = operation.audit === null ? '' : `\`${operation.audit}\``;
  return `| \`${target}\` | \`${operation.name}\` | ${audit} | ${needs(operation)} | ${groupsOf(operation)} | ${releases(operation)} |`;
}

const TOP = `# Operations

For operators who write rules, and for developers who ask what a call needs. Made from the rows of the operations by
\`test/support/operations-page.ts\`; do not edit. Access matrix: Qdrant ${QDRANT_VERSION}.

- **name** is the operation of one protocol; **in both** is its name in Qdrant's audit log, which stands for it over REST and gRPC. Either may
  stand in \`operations\` and \`deny_operations\` of a [rule](../guides/operating.md#rules), and so may a **group**.
- **needs** is the least that a key or token must have: global access, or one of the letters for the collection. Other collections that a body names need
  what the operation needs there.
- Some operations that need global \`m\` can be given for a prefix, by an [entry with \`manage\`](../guides/operating.md#access-by-entries).
- A route or method that is not here needs global \`m\`.
`;
const HEAD = (first: string): string =>
  `| ${first} | name | in both | needs | groups | Qdrant |\n|---|---|---|---|---|---|`;

/** The whole page. */
export function operationsPage(): string {
  const rest = REST_OPERATIONS.map((one) => row(`${one.method} ${one.path}`, one));
  const grpc = GRPC_OPERATIONS.map((one) => row(one.path, one));
  return [TOP, '## REST', '', HEAD('route'), ...rest, '', '## gRPC', '', HEAD('method'), ...grpc, ''].join('\n');
}

if (import.meta.main) writeFileSync(PAGE, operationsPage());
