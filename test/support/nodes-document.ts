import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { isRepeatable, placementOf } from '../../src/operations/placement.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import type { Operation } from '../../src/policy/operation.ts';

/*
 * The tables of `docs/reference/nodes.md`, from the rows of the operations.
 *
 *   node setup.mjs test/support/nodes-document.ts
 */

const cells = (operation: Operation): string =>
  `${placementOf(operation)} | ${isRepeatable(operation) ? 'yes' : 'no'} | ${operation.name}`;

/** One row for each REST route. */
export function restNodesTable(): string {
  const rows = REST_OPERATIONS.map((one) => `| \`${one.method} ${one.path}\` | ${cells(one)} |`);
  return ['| route | node | sent again | operation |', '|---|---|---|---|', ...rows].join('\n');
}

/** One row for each gRPC method. */
export function grpcNodesTable(): string {
  const rows = GRPC_OPERATIONS.map((one) => `| \`${one.path}\` | ${cells(one)} |`);
  return ['| method | node | sent again | operation |', '|---|---|---|---|', ...rows].join('\n');
}

if (import.meta.main) process.stdout.write(`${restNodesTable()}\n\n${grpcNodesTable()}\n`);
