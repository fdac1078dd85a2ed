import type { MessageInitShape } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import { type GrpcMethod, unary } from './grpc-method.ts';
import { type Json, numberOf, objectOf, textOf } from './json.ts';
import { createSnapshot, findSnapshot, snapshotJson } from './snapshots.ts';
import type { Snapshot } from './store.ts';

const time = 0.00001;
const snapshots = '/qdrant.Snapshots';

function snapshotMessage(item: Json): MessageInitShape<typeof q.SnapshotDescriptionSchema> {
  const { name, size, checksum, creation_time: created } = objectOf(item);
  const seconds = BigInt(Math.trunc(Date.parse(`${textOf(created) ?? ''}Z`) / 1000));
  return {
    name: textOf(name) ?? '',
    size: BigInt(numberOf(size, 0)),
    checksum: textOf(checksum),
    creationTime: { seconds, nanos: 0 },
  };
}

function listed(found: Map<string, Snapshot>) {
  const snapshotDescriptions = [...found.values()].map((snapshot) => snapshotMessage(snapshotJson(snapshot)));
  return { snapshotDescriptions, time };
}

function deleted(found: Map<string, Snapshot>, name: string) {
  found.delete(findSnapshot(found, name).name);
  return { time };
}

/** The methods of qdrant.Snapshots. */
export const snapshotMethods: GrpcMethod[] = [
  unary(`${snapshots}/Create`, q.CreateSnapshotRequestSchema, q.CreateSnapshotResponseSchema, (r, { store }) => {
    const collection = store.find(r.collectionName);
    return { snapshotDescription: snapshotMessage(createSnapshot(collection.snapshots, collection.name)), time };
  }),
  unary(`${snapshots}/List`, q.ListSnapshotsRequestSchema, q.ListSnapshotsResponseSchema, (r, { store }) =>
    listed(store.find(r.collectionName).snapshots),
  ),
  unary(`${snapshots}/Delete`, q.DeleteSnapshotRequestSchema, q.DeleteSnapshotResponseSchema, (r, { store }) =>
    deleted(store.find(r.collectionName).snapshots, r.snapshotName),
  ),
  unary(`${snapshots}/CreateFull`, q.CreateFullSnapshotRequestSchema, q.CreateSnapshotResponseSchema, (_r, c) => ({
    snapshotDescription: snapshotMessage(createSnapshot(c.store.snapshots, 'full-snapshot')),
    time,
  })),
  unary(`${snapshots}/ListFull`, q.ListFullSnapshotsRequestSchema, q.ListSnapshotsResponseSchema, (_r, { store }) =>
    listed(store.snapshots),
  ),
  unary(`${snapshots}/DeleteFull`, q.DeleteFullSnapshotRequestSchema, q.DeleteSnapshotResponseSchema, (r, { store }) =>
    deleted(store.snapshots, r.snapshotName),
  ),
];
