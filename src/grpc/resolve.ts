import type { Resolution } from '../exchange/exchange.ts';
import { GRPC_OPERATIONS, INTERNAL_GRPC, INTERNAL_SERVICES, UNLISTED_GRPC } from '../operations/grpc.ts';
import { badRequest } from '../policy/denial.ts';
import { type GrpcOperation, IN_MESSAGE, NO_TARGET, type Operation } from '../policy/operation.ts';

/** A resolved gRPC path. */
export interface GrpcResolution extends Resolution {
  readonly operation: GrpcOperation;
  /** True = the path does not start with `/`: upstream resets such a stream instead of answering it. */
  readonly resets?: true;
}

const byPath: ReadonlyMap<string, GrpcResolution> = new Map(
  GRPC_OPERATIONS.map((operation) => [
    operation.path,
    Object.freeze({ operation, target: operation.collectionField === undefined ? NO_TARGET : IN_MESSAGE }),
  ]),
);
const UNLISTED: GrpcResolution = Object.freeze({ operation: UNLISTED_GRPC, target: NO_TARGET });
const INTERNAL: GrpcResolution = Object.freeze({ operation: INTERNAL_GRPC, target: NO_TARGET });
const NO_SLASH: GrpcResolution = Object.freeze({
  operation: UNLISTED_GRPC,
  target: NO_TARGET,
  refusal: badRequest('malformed_path', 'the path must start with `/`'),
  resets: true,
});

/**
 * The row of a `:path`, one character per byte. Never fails; an unknown path is unlisted.
 *
 * Upstream (Qdrant v1.18.3): compared byte for byte after removing query and fragment; no decoding, case folding or
 * slash merging, and the HTTP method is ignored.
 */
export function resolveGrpc(path: string): GrpcResolution {
  const known = byPath.get(path);
  if (known) return known;
  if (!path.startsWith('/')) return NO_SLASH;
  const bare = withoutQuery(path);
  const internal = INTERNAL_SERVICES.has(bare.slice(1, serviceEnd(bare)));
  return byPath.get(bare) ?? (internal ? INTERNAL : UNLISTED);
}

/** Upstream: only reflection streams requests. */
export function isUnary(operation: Operation): boolean {
  return operation.requires.scope !== 'authenticated';
}

function withoutQuery(path: string): string {
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

function serviceEnd(path: string): number {
  const slash = path.indexOf('/', 1);
  return slash < 0 ? path.length : slash;
}
