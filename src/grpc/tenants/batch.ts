import { badForm } from './ids.ts';
import { make } from './messages/codec.ts';
import type { Write, Writes } from './write-requests.ts';

/** One operation of a batch. */
export interface BatchOperation {
  operation: { case: string | undefined; value?: unknown };
}

/** Rewrites one operation of a batch. Upstream carries them out one after the other. */
export function rewriteOperation(writes: Writes, item: BatchOperation): void {
  const { operation } = item;
  const write = operation.value as Write;
  switch (operation.case) {
    case 'upsert':
      writes.upsert(write);
      break;
    case 'updateVectors':
      writes.updateVectors(write);
      break;
    case 'deleteVectors':
      writes.deleteVectors(write);
      break;
    case 'deletePoints':
      writes.deletePoints(write);
      break;
    case 'deleteDeprecated':
      item.operation = { case: 'deletePoints', value: deleted(writes, operation.value) };
      break;
    case 'setPayload':
      writes.setPayload(write);
      break;
    case 'overwritePayload':
      writes.overwritePayload(write);
      break;
    case 'deletePayload':
      writes.deletePayload(write);
      break;
    case 'clearPayload':
      item.operation = { case: 'overwritePayload', value: cleared(writes, write) };
      break;
    case 'clearPayloadDeprecated':
      item.operation = { case: 'overwritePayload', value: cleared(writes, { points: operation.value }) };
      break;
    default:
      throw badForm('operations', 'has an entry without an operation');
  }
}

/** The old form of deleting points: the selector alone. */
function deleted(writes: Writes, selector: unknown): object {
  const write: Write = { points: selector };
  writes.deletePoints(write);
  return make('BatchDeletePoints', write);
}

function cleared(writes: Writes, write: Write): object {
  return make('BatchOverwritePayload', writes.clearPayload(write));
}
