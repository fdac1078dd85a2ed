import { FIELDS } from '../../grpc/tenants/messages/codec.ts';
import { type FieldRow, fieldsOf, type MessageTable } from '../../grpc/tenants/messages/table.ts';
import { requestTypeOf } from '../../grpc/tenants/rewrite.ts';
import type { GrpcOperation } from '../../policy/operation.ts';

/** Requests that the gateway never makes itself, as far as names stand in them. Read from Qdrant v1.20.0. */
const OTHERS: MessageTable = {
  ChangeAliases: '1 actions AliasOperations*, 2 timeout uint64?',
  AliasOperations:
    '1 create_alias CreateAlias action, 2 rename_alias RenameAlias action, 3 delete_alias DeleteAlias action',
  CreateAlias: '1 collection_name string, 2 alias_name string',
  RenameAlias: '1 old_alias_name string, 2 new_alias_name string',
  DeleteAlias: '1 alias_name string',
  CreateCollection: '1 collection_name string, 13 init_from_collection string?',
};

const known: ReadonlyMap<string, readonly FieldRow[]> = new Map([...FIELDS, ...fieldsOf(OTHERS)]);

const TYPES: Readonly<Record<string, string>> = {
  'qdrant.Collections/UpdateAliases': 'ChangeAliases',
  'qdrant.Collections/Create': 'CreateCollection',
};

/** The fields of a message by the name of its type. Throws `TypeError` for one without a row. */
export function fieldsOfType(type: string): readonly FieldRow[] {
  const fields = known.get(type);
  if (!fields) throw new TypeError(`the message \`${type}\` has no row`);
  return fields;
}

/** The fields of the request of a method: of one that is not read further, its collection alone. */
export function requestFields(operation: GrpcOperation): readonly FieldRow[] {
  const type = requestTypeOf(operation.name) ?? TYPES[operation.name];
  if (type !== undefined) return fieldsOfType(type);
  const number = operation.collectionField ?? operation.manages?.field;
  if (number === undefined) return [];
  const plain = {
    type: 'string',
    message: undefined,
    opaque: false,
    repeated: false,
    optional: false,
    oneof: undefined,
  };
  return [{ number, name: 'collection_name', ...plain }];
}
