import { writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { GRPC_LEAKS } from '../../cases/tenant-leaks/grpc.ts';
import { GRPC_KEPT, REST_KEPT } from '../../cases/tenant-leaks/kept.ts';
import { AS_ALONE, type Leak } from '../../cases/tenant-leaks/leak.ts';
import { REST_READS } from '../../cases/tenant-leaks/rest-reads.ts';
import { REST_WRITES } from '../../cases/tenant-leaks/rest-writes.ts';

export const PAGE = fileURLToPath(new URL('../../../docs/reference/tenant-isolation.md', import.meta.url));

/** Cases whose path, body or name holds what a table or a line would read as its own. */
const written = (text: string): string => text.replaceAll('|', '\\|');

/** The reference page of the attacks on the isolation of tenants, as Markdown. */
export function isolationPage(): string {
  const rest = [...REST_READS, ...REST_WRITES, ...REST_KEPT];
  const overGrpc = [...GRPC_LEAKS, ...GRPC_KEPT];
  const restRows = rest.map((leak) => row(leak, `${leak.method} \`…${leak.path.replace('?wait=true', '')}\``));
  return [
    '# Isolation of tenants',
    '',
    'Generated from `test/cases/tenant-leaks/` by `node setup.mjs test/support/tenants/isolation-page.ts`; do not edit.',
    '',
    'Each attack is sent by one tenant to a collection that it shares with another one, and to a collection that holds its own points',
    'only. `as alone`: status, answer and stored points are the same in both, and nothing of the others has changed. Otherwise the',
    'gateway refuses it in both, with this [code](denial-codes.md). `test/e2e/tenant-leaks.test.ts` runs all of them. Times, usage,',
    'versions and numbers of operations are not compared: Qdrant counts them for the whole collection. Cases of the channels `hidden`,',
    '`read-only` and `shard keys` are sent under an entry with such fields and a shard key, and hidden values differ between the collections.',
    '',
    `## REST (${rest.length})`,
    '',
    ...table(restRows),
    '',
    `## gRPC (${overGrpc.length})`,
    '',
    ...table(overGrpc.map((leak) => row(leak, `\`${leak.method}\``))),
    '',
  ].join('\n');
}

function table(rows: readonly string[]): string[] {
  return ['| channel | request | attack | result |', '|---|---|---|---|', ...rows];
}

function row({ channel, name, result }: Leak, request: string): string {
  return `| ${channel} | ${request} | ${written(name)} | ${result === AS_ALONE ? AS_ALONE : `\`${result}\``} |`;
}

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, isolationPage());
