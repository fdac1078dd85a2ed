import { Fault } from './fault.ts';
import type { JsonObject } from './json.ts';
import { newSnapshot, type Snapshot } from './store.ts';

/** A snapshot as the lists show it. */
export function snapshotJson(snapshot: Snapshot): JsonObject {
  const { name, creationTime, content, checksum } = snapshot;
  return { name, creation_time: creationTime, size: content.length, checksum };
}

/** Makes a snapshot in the given set and answers its description. */
export function createSnapshot(snapshots: Map<string, Snapshot>, stem: string): JsonObject {
  const snapshot = newSnapshot(stem);
  snapshots.set(snapshot.name, snapshot);
  return snapshotJson(snapshot);
}

/** The snapshot of that name; throws the 404 fault. */
export function findSnapshot(snapshots: Map<string, Snapshot>, name: string): Snapshot {
  const snapshot = snapshots.get(name);
  if (snapshot === undefined) {
    throw new Fault('not-found', `Not found: Snapshot ${name} not found`);
  }
  return snapshot;
}
