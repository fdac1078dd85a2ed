/* Changes of a running gateway that are asked for on the admin port or the console: the statuses of those that are not made. */

export const KEY_REFUSALS = {
  ...{ invalid: 400, unknown: 404, exists: 409, overlap: 409, file: 409, locked: 503, redis: 503 },
} as const;
export const NODE_REFUSALS = { invalid: 400, unknown: 404, last: 409 } as const;
export const LIFT_REFUSALS = { invalid: 400, unknown: 404, store: 503 } as const;

/** The node that a request names, for the record. */
export function askedNode(request: unknown): { readonly node?: string } {
  const { node } = Object(request) as { readonly node?: unknown };
  return typeof node === 'string' ? { node } : {};
}
