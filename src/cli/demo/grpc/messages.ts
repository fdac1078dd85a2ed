import { type FieldRow, fieldsOf } from '../../../grpc/tenants/messages/table.ts';

/**
 * Messages of the methods that the stand-in has. A field that is not listed is refused where a request has it. `wait`, `timeout`, `params`,
 * `exact` and the fields typed as `bytes` are taken, and change nothing. Source: interface of Qdrant 1.20.
 */
export const MESSAGES: ReadonlyMap<string, readonly FieldRow[]> = fieldsOf({
  Empty: '',
  HealthCheckReply: '1 title string, 2 version string, 3 commit string',
  HealthCheckRequest: '1 service string',
  HealthCheckResponse: '1 status enum',
  OfCollection: '1 collection_name string, 2 timeout uint64',
  ListCollectionsResponse: '1 collections CollectionDescription*, 2 time double',
  CollectionDescription: '1 name string',
  CollectionExistsResponse: '1 result CollectionExists, 2 time double',
  CollectionExists: '1 exists bool',
  CollectionOperationResponse: '1 result bool, 2 time double',
  CreateCollection: '1 collection_name string, 9 timeout uint64, 10 vectors_config VectorsConfig',
  VectorsConfig: '1 params VectorParams',
  VectorParams: '1 size uint64, 2 distance enum',
  GetCollectionInfoResponse: '1 result CollectionInfo, 2 time double',
  CollectionInfo: [
    '1 status enum, 2 optimizer_status OptimizerStatus, 4 segments_count uint64, 7 config CollectionConfig',
    '9 points_count uint64, 10 indexed_vectors_count uint64',
  ],
  OptimizerStatus: '1 ok bool',
  CollectionConfig: [
    '1 params CollectionParams, 2 hnsw_config HnswConfig, 3 optimizer_config OptimizerConfig, 4 wal_config WalConfig',
  ],
  CollectionParams: [
    '3 shard_number uint32, 4 on_disk_payload bool, 5 vectors_config VectorsConfig, 6 replication_factor uint32',
    '7 write_consistency_factor uint32',
  ],
  HnswConfig: '1 m uint64, 2 ef_construct uint64, 3 full_scan_threshold uint64',
  OptimizerConfig: [
    '1 deleted_threshold double, 2 vacuum_min_vector_number uint64, 3 default_segment_number uint64',
    '7 flush_interval_sec uint64',
  ],
  WalConfig: '1 wal_capacity_mb uint64, 2 wal_segments_ahead uint64',
  UpsertPoints: '1 collection_name string, 2 wait bool, 3 points PointStruct*, 4 ordering bytes, 7 timeout uint64',
  PointStruct: '1 id PointId, 3 payload ValueEntry*, 4 vectors Vectors',
  DeletePoints: '1 collection_name string, 2 wait bool, 3 points PointsSelector, 4 ordering bytes, 6 timeout uint64',
  PointsSelector: '1 points PointsIdsList',
  PointsIdsList: '1 ids PointId*',
  PointsOperationResponse: '1 result UpdateResult, 2 time double',
  UpdateResult: '1 operation_id uint64, 2 status enum',
  GetPoints: [
    '1 collection_name string, 2 ids PointId*, 4 with_payload Selector, 5 with_vectors Selector',
    '6 read_consistency bytes, 8 timeout uint64',
  ],
  ScrollPoints: [
    '1 collection_name string, 4 limit uint32, 6 with_payload Selector, 7 with_vectors Selector',
    '8 read_consistency bytes, 11 timeout uint64',
  ],
  QueryPoints: [
    '1 collection_name string, 3 query Query, 6 params bytes, 8 limit uint64, 10 with_vectors Selector',
    '11 with_payload Selector, 12 read_consistency bytes, 15 timeout uint64',
  ],
  SearchPoints: [
    '1 collection_name string, 2 vector floats*, 4 limit uint64, 6 with_payload Selector, 7 params bytes',
    '11 with_vectors Selector, 12 read_consistency bytes, 13 timeout uint64',
  ],
  CountPoints: '1 collection_name string, 3 exact bool, 4 read_consistency bytes, 6 timeout uint64',
  Selector: '1 enable bool',
  Query: '1 nearest VectorInput',
  VectorInput: '1 id PointId, 2 dense Floats',
  GetResponse: '1 result Point*, 2 time double',
  ScrollResponse: '2 result Point*, 3 time double',
  QueryResponse: '1 result ScoredPoint*, 2 time double',
  CountResponse: '1 result CountResult, 2 time double',
  CountResult: '1 count uint64',
  Point: '1 id PointId, 2 payload ValueEntry*, 4 vectors VectorsOutput',
  ScoredPoint: '1 id PointId, 2 payload ValueEntry*, 3 score float, 5 version uint64, 6 vectors VectorsOutput',
  PointId: '1 num uint64, 2 uuid string',
  Vectors: '1 vector Vector',
  Vector: '1 data floats*, 101 dense Floats',
  VectorsOutput: '1 vector VectorOutput',
  // Clients of before Qdrant 1.16 read the first field, newer ones the second.
  VectorOutput: '1 data floats*, 101 dense Floats',
  Floats: '1 data floats*',
  ValueEntry: '1 key string, 2 value Value',
  Value: [
    '1 null_value enum, 2 double_value double, 3 integer_value int64, 4 string_value string, 5 bool_value bool',
    '6 struct_value Struct, 7 list_value ListValue',
  ],
  Struct: '1 fields ValueEntry*',
  ListValue: '1 values Value*',
});
