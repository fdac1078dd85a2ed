import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';
import * as official from '@qdrant/js-client-grpc';
import t from 'tap';
import { FIELDS } from '../../../../src/grpc/tenants/messages/codec.ts';
import type { FieldRow } from '../../../../src/grpc/tenants/messages/table.ts';
import { REWRITTEN_METHODS } from '../../../../src/grpc/tenants/rewrite.ts';
import { GRPC_OPERATIONS } from '../../../../src/operations/grpc.ts';
import { tenantRows, tenantUse } from '../../../../src/policy/tenants/operations.ts';

/** The table of messages against the official client of Qdrant v1.19.0. */

/** Fields that its client does not have. */
const NEWER: ReadonlySet<string> = new Set([
  ...[
    'Query.text',
    'Match.prefix',
    'Match.substring',
    'Condition.slice',
    'Expression.acosh',
    'Expression.max',
    'Expression.min',
  ],
]);
/** Messages that it does not have. */
const NOT_THERE: ReadonlySet<string> = new Set([
  'SliceCondition',
  'TextQuery',
  'Bm25Params',
  'MaxExpression',
  'MinExpression',
]);
const OWN_NAMES: Readonly<Record<string, string>> = {
  BatchOperation: 'PointsUpdateOperation',
  BatchUpsert: 'PointsUpdateOperation_PointStructList',
  CollectionInfoRequest: 'GetCollectionInfoRequest',
  CollectionInfoResponse: 'GetCollectionInfoResponse',
  BatchResult: 'BatchResult',
  SchemaInfo: 'PayloadSchemaInfo',
  IndexParams: 'PayloadIndexParams',
  SettingsResponse: 'GetCollectionInfoResponse',
  SettingsInfo: 'CollectionInfo',
  SettingsConfig: 'CollectionConfig',
  SettingsParams: 'CollectionParams',
  SparseVectorsConfig: 'SparseVectorConfig',
  SparseVectorSettings: 'SparseVectorParams',
};
/** Messages of which the table has only the fields that it needs. */
const ANSWERS =
  /Response$|^(BatchResult|GroupsResult|PointGroup|ScoredPoint|RetrievedPoint|Usage|CountResult|CollectionInfo|OptimizerStatus|CollectionConfig|SchemaInfo|IndexParams|Settings\w+|SparseVector(sConfig|Settings))$/;

function officialOf(name: string): DescMessage | undefined {
  const own =
    OWN_NAMES[name] ??
    name.replace(/^Batch(?=[A-Z])/, (batch) => (isBatchOperation(name) ? 'PointsUpdateOperation_' : batch));
  const found: unknown = (official as unknown as Record<string, unknown>)[`${own}Schema`];
  return found as DescMessage | undefined;
}

function isBatchOperation(name: string): boolean {
  return /^Batch(Set|Overwrite|Delete|Clear|Update)/.test(name);
}

const WIDTHS: Readonly<Record<number, string>> = {
  [ScalarType.STRING]: 'string',
  [ScalarType.BOOL]: 'bool',
  [ScalarType.INT32]: 'int32',
  [ScalarType.INT64]: 'int64',
  [ScalarType.UINT32]: 'uint32',
  [ScalarType.UINT64]: 'uint64',
  [ScalarType.DOUBLE]: 'double',
  [ScalarType.FLOAT]: 'float',
};

function typeOf(field: DescField): string {
  if (field.fieldKind === 'enum') return 'enum';
  if (field.fieldKind === 'scalar') return WIDTHS[field.scalar] ?? '?';
  if (field.fieldKind === 'list' && field.listKind === 'scalar') {
    const width = WIDTHS[field.scalar] ?? '?';
    if (width === 'float') return 'floats';
    return width === 'uint32' ? 'packed' : width;
  }
  return 'message';
}

function form(row: FieldRow): string {
  return `${row.number} ${row.name} ${row.type}${row.repeated ? '*' : ''} ${row.oneof ?? ''}`;
}

function officialForm(field: DescField): string {
  const repeated = field.fieldKind === 'list' || field.fieldKind === 'map';
  return `${field.number} ${field.name} ${typeOf(field)}${repeated ? '*' : ''} ${field.oneof?.name ?? ''}`;
}

t.test('every message of the table has the fields of the official client, and no others', async (t) => {
  let compared = 0;
  for (const [name, rows] of FIELDS) {
    if (/Entry$|^(Timestamp)$/.test(name) || NOT_THERE.has(name)) continue;
    const desc = officialOf(name);
    if (!desc) {
      t.equal(name, 'Usage', `${name} is known to the client`);
      continue;
    }
    compared += 1;
    const theirs = desc.fields.map(officialForm);
    const ours = rows.filter((row) => !NEWER.has(`${name}.${row.name}`)).map(form);
    if (ANSWERS.test(name))
      t.strictSame(
        ours.filter((each) => !theirs.includes(each)),
        [],
        name,
      );
    else t.strictSame(ours.toSorted(), theirs.toSorted(), name);
  }
  t.ok(compared > 90, `${compared} messages are compared`);
});

t.test('every method that tenants may use is rewritten, or passes on purpose', async (t) => {
  const methods = GRPC_OPERATIONS.map(({ name }) => name).filter((name) => tenantUse(name) === 'rewrite');
  t.strictSame([...new Set(methods)].toSorted(), REWRITTEN_METHODS.toSorted());
  t.ok(tenantRows().length > 20);
});
