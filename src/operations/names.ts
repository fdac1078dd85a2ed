import { GRPC_OPERATIONS, UNLISTED_GRPC } from './grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from './rest.ts';

/**
 * Every name a rule may give an operation: those of the rows, which mean one row of one protocol each, and those of
 * upstream's audit log, which mean the operation on both.
 */
export const OPERATION_NAMES: readonly string[] = Object.freeze([
  ...new Set(
    [...REST_OPERATIONS, UNLISTED_REST, ...GRPC_OPERATIONS, UNLISTED_GRPC].flatMap(({ name, audit }) =>
      audit === null ? [name] : [audit, name],
    ),
  ),
]);
