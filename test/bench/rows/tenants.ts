import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COLLECTION, field, SMALL_ANSWER } from '../load/messages.ts';
import { tokenOf } from './tokens.ts';

const SUBJECT = 'tenant';
/** Numbers of the vector: the query has about one KiB. */
const NUMBERS = { json: 128, grpc: 248 };

/** A policy file that binds the tokens of one subject to their tenants. Removed when the process ends. */
export function tenantsFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-bench-tenants-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'policy.json');
  const entry = {
    id: 'bench',
    keys: ['api_key'],
    subjects: [SUBJECT],
    collections: [COLLECTION],
    field: 'tenant',
    from: 'tenant',
  };
  writeFileSync(file, JSON.stringify({ tenants: [entry] }));
  return file;
}

/** Tokens for one collection: without a tenant, and with one. */
export function tenantTokens(secret: string): { readonly list: string; readonly tenant: string } {
  const access = [{ collection: COLLECTION, access: 'rw' }];
  return { list: tokenOf({ access }, secret), tenant: tokenOf({ access, subject: SUBJECT, tenant: 'acme' }, secret) };
}

const numberAt = (index: number): number => Math.sin(index) / 2;

/** A query of about one KiB with a filter: every field of it is known to Qdrant. */
export function plainQuery(): Buffer {
  const query = Array.from({ length: NUMBERS.json }, (_, index) => Number(numberAt(index).toFixed(4)));
  const filter = { must: [{ key: 'city', match: { value: 'Berlin' } }] };
  return Buffer.from(JSON.stringify({ query, limit: 10, with_payload: true, filter }), 'latin1');
}

/** The call of a query of about one KiB. */
export function plainQueryCall(): { readonly path: string; readonly message: Buffer; readonly answerBytes: number } {
  const data = Buffer.alloc(4 * NUMBERS.grpc);
  for (let i = 0; i < NUMBERS.grpc; i++) data.writeFloatLE(numberAt(i), 4 * i);
  const nearest = field(1, field(2, field(1, data)));
  const limit = Buffer.from([8 << 3, 10]);
  const message = Buffer.concat([field(1, Buffer.from(COLLECTION)), field(3, nearest), limit]);
  return { path: '/qdrant.Points/Query', message, answerBytes: SMALL_ANSWER };
}

const POINTS = 100;
const DIMENSIONS = 96;
const CITY = 'Berlin';

/** The body of an upsert of 100 points of 96 dimensions with a small payload. */
export function plainUpsert(): Buffer {
  const points = Array.from({ length: POINTS }, (_, id) => {
    const vector = Array.from({ length: DIMENSIONS }, (_one, index) => Number(numberAt(id + index).toFixed(6)));
    return { id, vector, payload: { city: CITY, price: id } };
  });
  return Buffer.from(JSON.stringify({ points }), 'latin1');
}

/** The call of the same upsert. */
export function plainUpsertCall(): { readonly path: string; readonly message: Buffer; readonly answerBytes: number } {
  const entry = (key: string, value: Buffer): Buffer =>
    field(3, Buffer.concat([field(1, Buffer.from(key)), field(2, value)]));
  const points = Array.from({ length: POINTS }, (_, id) => {
    const data = Buffer.alloc(4 * DIMENSIONS);
    for (let i = 0; i < DIMENSIONS; i++) data.writeFloatLE(numberAt(id + i), 4 * i);
    const payload = [entry('city', field(4, Buffer.from(CITY))), entry('price', Buffer.from([3 << 3, id]))];
    return field(3, Buffer.concat([field(1, Buffer.from([8, id])), ...payload, field(4, field(1, field(1, data)))]));
  });
  const message = Buffer.concat([field(1, Buffer.from(COLLECTION)), ...points]);
  return { path: '/qdrant.Points/Upsert', message, answerBytes: SMALL_ANSWER };
}
