import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

/*
 * The tutorial for a client in TypeScript, `rest.ts` or `grpc.ts`: `steps` runs every step, `stranger` is started without the
 * CA and tries one call, `tenant` has the key of a tenant. Each step is one line of JSON on standard output; ../steps.ts holds what must stand there. Node takes
 * the CA from `NODE_EXTRA_CA_CERTS`, keys and ports come from the environment.
 */

/** The calls of the tutorial, by one caller. */
export interface Caller {
  readonly list: () => Promise<readonly string[]>;
  readonly create: () => Promise<unknown>;
  readonly write: (points: readonly Book[]) => Promise<unknown>;
  /** The title of the point that is nearest. */
  readonly search: () => Promise<unknown>;
  readonly count: (collection: string) => Promise<number>;
  readonly deletePoint: () => Promise<unknown>;
  readonly deleteCollection: () => Promise<unknown>;
  /** A query of `books` for which another collection is looked up. */
  readonly lookUp: () => Promise<unknown>;
  readonly tenant: TenantCaller;
}

/** The calls of a tenant, on the collection `shared`. */
export interface TenantCaller {
  readonly write: (books: readonly Book[], tenant?: string) => Promise<unknown>;
  /** The title of the point that is nearest. */
  readonly search: () => Promise<unknown>;
  /** Ids of all points. */
  readonly scroll: () => Promise<readonly number[]>;
  /** The ids that are there. */
  readonly retrieve: (ids: readonly number[]) => Promise<readonly number[]>;
  readonly delete: (ids: readonly number[]) => Promise<unknown>;
  readonly count: () => Promise<number>;
}

export interface Book {
  readonly id: number;
  readonly vector: number[];
  readonly title: string;
}

/** Code and text of the gateway's answer; both null where none came. */
export interface Refusal {
  readonly code: number | string | null;
  readonly text: string | null;
}

export const QUERY = [0.8, 0.2, 0.1, 0.1];
const BOOKS = [
  { id: 1, vector: [0.9, 0.1, 0.1, 0.2], title: 'Dune' },
  { id: 2, vector: [0.1, 0.8, 0.3, 0.4], title: 'Emma' },
];
const THIRD = [{ id: 3, vector: [0.2, 0.2, 0.9, 0.1], title: 'Ulysses' }];

const say = (line: object): void => console.log(JSON.stringify(line));

/** Runs the tutorial with a client: how a caller is made of a key, and how a refusal is read. */
export async function run(caller: (key?: string) => Caller, refusal: (error: unknown) => Refusal): Promise<void> {
  const env = (name: string): string => process.env[name] ?? '';
  async function show(step: string, call: Promise<unknown>, result?: 'result'): Promise<void> {
    try {
      const got = await call;
      say({ step, result: result === undefined ? 'done' : got });
    } catch (error) {
      say({ step, ...refusal(error), shown: String(error) });
    }
  }
  if (process.argv[2] === 'stranger') return await show('the CA is not trusted', caller(env('ADMIN')).list());
  if (process.argv[2] === 'tenant') return await asTenant(caller(env('TENANT')).tenant, show);
  const [admin, reader, token] = [caller(env('ADMIN')), caller(env('READER')), caller(env('TOKEN'))];
  await show('no key', caller().list());
  await show('a wrong key', caller('wrong').list());
  await show('an expired token', caller(env('EXPIRED')).list());
  await show('admin creates', admin.create());
  await show('admin writes', admin.write(BOOKS));
  await show('admin searches', admin.search(), 'result');
  await show('reader counts', reader.count('books'), 'result');
  await show('reader deletes a point', reader.deletePoint());
  await show('token lists', token.list(), 'result');
  await show('token searches', token.search(), 'result');
  await show('token writes', token.write(THIRD));
  await show('token reads another collection', token.count('private'));
  await show('token names another collection', token.lookUp());
  await show('token deletes the collection', token.deleteCollection());
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  say({ step: 'stop' });
  await lines.next();
  await show('gateway is away', admin.count('books'));
  say({ step: 'start' });
  await lines.next();
  await show(
    'gateway is back',
    again(() => admin.count('books')),
    'result',
  );
  await show('admin deletes the collection', admin.deleteCollection());
}

type Show = (step: string, call: Promise<unknown>, result?: 'result') => Promise<void>;

async function asTenant(tenant: TenantCaller, show: Show): Promise<void> {
  await show('tenant writes', tenant.write(BOOKS));
  await show('tenant writes for another', tenant.write(THIRD, 'umbrella'));
  await show('tenant queries', tenant.search(), 'result');
  await show('tenant scrolls', tenant.scroll(), 'result');
  await show('tenant retrieves', tenant.retrieve([1, 9]), 'result');
  await show('tenant deletes', tenant.delete([1, 9]));
  await show('tenant counts', tenant.count(), 'result');
}

/** As a program that tries again: the same client object, until the gateway answers. */
async function again<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 0; tries < 300; tries += 1) {
    try {
      return await call();
    } catch {
      await pause(200);
    }
  }
  return await call();
}
