import type { MessageTable } from './table.ts';

/** Requests that write points. `Batch` is an operation of `PointsUpdateOperation`. */
export const WRITES: MessageTable = {
  UpsertPoints: [
    '1 collection_name string, 2 wait bool?, 3 points PointStruct*, 4 ordering ~WriteOrdering?',
    '5 shard_key_selector ~ShardKeySelector?, 6 update_filter Filter?, 7 timeout uint64?, 8 update_mode enum?',
  ],
  PointStruct: '1 id PointId, 3 payload ValueEntry*, 4 vectors ~Vectors?',
  DeletePoints: [
    '1 collection_name string, 2 wait bool?, 3 points PointsSelector, 4 ordering ~WriteOrdering?',
    '5 shard_key_selector ~ShardKeySelector?, 6 timeout uint64?',
  ],
  UpdatePointVectors: [
    '1 collection_name string, 2 wait bool?, 3 points PointVectors*, 4 ordering ~WriteOrdering?',
    '5 shard_key_selector ~ShardKeySelector?, 6 update_filter Filter?, 7 timeout uint64?',
  ],
  PointVectors: '1 id PointId, 2 vectors ~Vectors',
  DeletePointVectors: [
    '1 collection_name string, 2 wait bool?, 3 points_selector PointsSelector, 4 vectors ~VectorsSelector',
    '5 ordering ~WriteOrdering?, 6 shard_key_selector ~ShardKeySelector?, 7 timeout uint64?',
  ],
  SetPayloadPoints: [
    '1 collection_name string, 2 wait bool?, 3 payload ValueEntry*, 5 points_selector PointsSelector?',
    '6 ordering ~WriteOrdering?, 7 shard_key_selector ~ShardKeySelector?, 8 key string?, 9 timeout uint64?',
  ],
  DeletePayloadPoints: [
    '1 collection_name string, 2 wait bool?, 3 keys string*, 5 points_selector PointsSelector?',
    '6 ordering ~WriteOrdering?, 7 shard_key_selector ~ShardKeySelector?, 8 timeout uint64?',
  ],
  ClearPayloadPoints: [
    '1 collection_name string, 2 wait bool?, 3 points PointsSelector, 4 ordering ~WriteOrdering?',
    '5 shard_key_selector ~ShardKeySelector?, 6 timeout uint64?',
  ],
  UpdateBatchPoints: [
    '1 collection_name string, 2 wait bool?, 3 operations BatchOperation*, 4 ordering ~WriteOrdering?',
    '5 timeout uint64?',
  ],
  BatchOperation: [
    '1 upsert BatchUpsert operation, 2 delete_deprecated PointsSelector operation',
    '3 set_payload BatchSetPayload operation, 4 overwrite_payload BatchOverwritePayload operation',
    '5 delete_payload BatchDeletePayload operation, 6 clear_payload_deprecated PointsSelector operation',
    '7 update_vectors BatchUpdateVectors operation, 8 delete_vectors BatchDeleteVectors operation',
    '9 delete_points BatchDeletePoints operation, 10 clear_payload BatchClearPayload operation',
  ],
  BatchUpsert: [
    '1 points PointStruct*, 2 shard_key_selector ~ShardKeySelector?, 3 update_filter Filter?, 4 update_mode enum?',
  ],
  BatchSetPayload: [
    '1 payload ValueEntry*, 2 points_selector PointsSelector?, 3 shard_key_selector ~ShardKeySelector?, 4 key string?',
  ],
  BatchOverwritePayload: [
    '1 payload ValueEntry*, 2 points_selector PointsSelector?, 3 shard_key_selector ~ShardKeySelector?, 4 key string?',
  ],
  BatchDeletePayload: '1 keys string*, 2 points_selector PointsSelector?, 3 shard_key_selector ~ShardKeySelector?',
  BatchUpdateVectors: '1 points PointVectors*, 2 shard_key_selector ~ShardKeySelector?, 3 update_filter Filter?',
  BatchDeleteVectors: [
    '1 points_selector PointsSelector, 2 vectors ~VectorsSelector, 3 shard_key_selector ~ShardKeySelector?',
  ],
  BatchDeletePoints: '1 points PointsSelector, 2 shard_key_selector ~ShardKeySelector?',
  BatchClearPayload: '1 points PointsSelector, 2 shard_key_selector ~ShardKeySelector?',
};
