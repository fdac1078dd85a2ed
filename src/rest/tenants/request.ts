/** The request in the place of the client's. Plain data. */
export interface TenantRequest {
  readonly method: string;
  /** Encoded by the builder of resolved paths, with its query. */
  readonly path: string;
  /** JSON; `undefined` = none. */
  readonly body: Uint8Array | undefined;
}

/** True = a request over REST. */
export function isTenantRequest(request: unknown): request is TenantRequest {
  return typeof request === 'object' && request !== null && 'method' in request && 'path' in request;
}
