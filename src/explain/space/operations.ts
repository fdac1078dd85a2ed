import { GRPC_OPERATIONS, UNLISTED_GRPC } from '../../operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../operations/rest.ts';
import type { GrpcOperation, RestOperation } from '../../policy/operation.ts';

/** A row of the access matrix with its protocol. */
export type Row =
  | { readonly protocol: 'rest'; readonly operation: RestOperation }
  | { readonly protocol: 'grpc'; readonly operation: GrpcOperation };

/** Every row of both protocols, each name once, those of everything else included. */
export const ROWS: readonly Row[] = [
  ...onceEach([...REST_OPERATIONS, UNLISTED_REST]).map((operation) => ({ protocol: 'rest', operation }) as const),
  ...onceEach([...GRPC_OPERATIONS, UNLISTED_GRPC]).map((operation) => ({ protocol: 'grpc', operation }) as const),
];

/** Several routes of one name have the same columns, but for the path and the method. */
function onceEach<T extends { readonly name: string }>(rows: readonly T[]): readonly T[] {
  return [...new Map(rows.toReversed().map((row) => [row.name, row])).values()].toReversed();
}

/** The name for people: that of upstream's audit log, the same on both protocols, else that of the row. */
export function operationName({ operation: { name, audit } }: Row): string {
  return audit ?? name;
}

/** The rows of a name: an audit name, or the name of a row. */
export function rowsNamed(name: string): readonly Row[] {
  return ROWS.filter(({ operation }) => operation.audit === name || operation.name === name);
}

/** True = the operation is about one collection: in path, message or body. */
export function isOnCollection({ operation }: Row): boolean {
  const { requires, manages, unlisted } = operation;
  const inPath = 'method' in operation && operation.path.includes('{collection}');
  return (
    !unlisted && (inPath || requires.scope === 'collection' || (manages !== undefined && manages.right !== 'aliases'))
  );
}

/** True = the operation changes aliases: every name in its body counts. */
export function isOnAliases({ operation }: Row): boolean {
  return operation.manages?.right === 'aliases';
}

/** True = the body can name collections beside the main one. */
export function canNameOthers({ operation: { inspect, manages } }: Row): boolean {
  return inspect !== undefined || manages?.inspect === 'create-collection';
}

/** True = the answer lists collections of all kinds, as far as the caller may see them. */
export function isListing({ operation: { requires, filter } }: Row): boolean {
  return requires.scope === 'list' && filter !== undefined;
}
