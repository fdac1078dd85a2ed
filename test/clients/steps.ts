/*
 * What the tutorial must give with every client: one table for all of them. Codes and texts of refusals are Qdrant's.
 */

/** A step that is done, with the result that the program prints. */
interface Allowed {
  readonly step: string;
  readonly result: unknown;
}

/** A step that the gateway refuses: the status over REST and gRPC, and the text over both. */
interface Refused {
  readonly step: string;
  readonly rest: number;
  readonly grpc: string;
  readonly text: string;
  /** Where the text over gRPC names the place in the message, and so is another one. */
  readonly grpcText?: string;
}

/** A step in which no answer of the gateway comes: the client shows an error of its own. */
interface Failed {
  readonly step: string;
  readonly failed: true;
}

export type Step = Allowed | Refused | Failed;

const unauthenticated = { rest: 401, grpc: 'UNAUTHENTICATED' };
const forbidden = { rest: 403, grpc: 'PERMISSION_DENIED' };

/** In the order of the programs. The harness stops the gateway before `gateway is away` and starts it again before the next. */
export const STEPS: readonly Step[] = [
  { step: 'no key', ...unauthenticated, text: 'Must provide an API key or an Authorization bearer token' },
  { step: 'a wrong key', ...unauthenticated, text: 'Invalid API key or JWT' },
  { step: 'an expired token', ...forbidden, text: 'ExpiredSignature' },
  { step: 'admin creates', result: 'done' },
  { step: 'admin writes', result: 'done' },
  { step: 'admin searches', result: 'Dune' },
  { step: 'reader counts', result: 2 },
  { step: 'reader deletes a point', ...forbidden, text: 'Forbidden: Global manage access is required' },
  { step: 'token lists', result: ['books'] },
  { step: 'token searches', result: 'Dune' },
  { step: 'token writes', result: 'done' },
  {
    step: 'token reads another collection',
    ...forbidden,
    text: 'Forbidden: Access to collection private is required',
  },
  {
    step: 'token names another collection',
    ...forbidden,
    text: 'Forbidden: Access to collection private is required',
  },
  { step: 'token deletes the collection', ...forbidden, text: 'Forbidden: Global access is required' },
  { step: 'gateway is away', failed: true },
  { step: 'gateway is back', result: 3 },
  { step: 'admin deletes the collection', result: 'done' },
];

/** The one step of a program that was started without the CA. */
export const STRANGER: readonly Step[] = [{ step: 'the CA is not trusted', failed: true }];

/** The id of a point of another tenant, which is nearer to the query than all others. */
export const FOREIGN = 9;

/** What a program does with the key of a tenant, in a collection that holds a point of another tenant. */
export const TENANT: readonly Step[] = [
  { step: 'tenant writes', result: 'done' },
  {
    step: 'tenant writes for another',
    ...forbidden,
    text: 'Forbidden: The request would give the field of the tenant another value',
    grpcText:
      'Forbidden: The request has another value, or none, for the field `tenant` of the tenant in `points[0].payload`',
  },
  { step: 'tenant queries', result: 'Dune' },
  { step: 'tenant scrolls', result: [1, 2] },
  { step: 'tenant retrieves', result: [1] },
  { step: 'tenant deletes', result: 'done' },
  { step: 'tenant counts', result: 1 },
];
