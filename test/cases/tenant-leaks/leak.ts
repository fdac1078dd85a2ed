/** One attack: a request of one tenant on a collection that it shares with others. */
export interface Leak {
  /** The channel that it tries. */
  readonly channel: string;
  readonly name: string;
  /**
   * - `as alone`: answer and stored points are those of a collection that holds the tenant's points only
   * - else the code of the refusal
   */
  readonly result: string;
}

/** @param path behind `/collections/{name}` */
export interface RestLeak extends Leak {
  readonly method: string;
  readonly path: string;
  /** As it is sent; empty = none. */
  readonly body: string;
}

/** Method of the service Points, and its message in the JSON form of protobuf without the name of the collection. */
export interface GrpcLeak extends Leak {
  readonly method: string;
  readonly message: object;
}

export const AS_ALONE = 'as alone';

/** @param body an object is written as JSON */
export function rest(
  channel: string,
  name: string,
  [method, path, body]: readonly [method: string, path: string, body?: object | string],
  result: string = AS_ALONE,
): RestLeak {
  const written = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);
  return { channel, name, method, path, body: written, result };
}

export function grpc(
  channel: string,
  name: string,
  [method, message]: readonly [method: string, message: object],
  result: string = AS_ALONE,
): GrpcLeak {
  return { channel, name, method, message, result };
}
