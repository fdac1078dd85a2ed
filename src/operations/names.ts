import { GRPC_OPERATIONS, UNLISTED_GRPC } from './grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from './rest.ts';

/**
 * All operation names that a rule may use: names of rows (one row of one protocol) and names of upstream's audit log
 * (the operation on both protocols).
 */
export const OPERATION_NAMES: readonly string[] = Object.freeze([
  ...new Set(
    [...REST_OPERATIONS, UNLISTED_REST, ...GRPC_OPERATIONS, UNLISTED_GRPC].flatMap(({ name, audit }) =>
      audit === null ? [name] : [audit, name],
    ),
  ),
]);
