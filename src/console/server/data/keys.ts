import { z } from 'zod';
import type { AdminAct } from '../../../audit/act.ts';
import { changedKeyOf } from '../../../named-keys/shown.ts';
import type { KeyRequest } from '../../../named-keys/store.ts';
import { KEY_REFUSALS } from '../../../observability/asked-change.ts';
import type { KeyDetails, KeyOptions } from '../../api/keys.ts';
import type { ConsoleSource } from '../source.ts';
import { type DataAnswer, type DataCall, type DataRow, ok, problem } from './row.ts';
import { issueText } from './tokens.ts';

const onOneSchema = z.looseObject({ id: z.string().min(1).max(256) });

const onOne = (change: Exclude<KeyRequest['change'], 'create'>): DataRow => ({
  method: 'POST',
  name: `keys/${change}`,
  role: 'full',
  answer: async (call) => {
    const asked = onOneSchema.safeParse(call.body);
    if (!asked.success) return problem(400, issueText(asked.error));
    const { id, ...body } = asked.data;
    return await changeKey(call, { change, id, body });
  },
});

/** The page Keys. */
export const keyRows: readonly DataRow[] = [
  { method: 'GET', name: 'keys', role: 'read', answer: async ({ source }) => ok(await source.keys()) },
  { method: 'GET', name: 'keys/options', role: 'read', answer: ({ source }) => ok(keyOptions(source)) },
  { method: 'GET', name: 'keys/one', role: 'read', query: ['id'], answer: one },
  {
    method: 'POST',
    name: 'keys/create',
    role: 'full',
    answer: (call) => changeKey(call, { change: 'create', body: call.body }),
  },
  ...(['rotate', 'disable', 'enable', 'expire', 'delete'] as const).map(onOne),
];

async function one({ source, query }: DataCall): Promise<DataAnswer> {
  const id = query.id ?? '';
  const key = await source.key(id);
  return typeof key === 'string' ? problem(404, key) : ok({ ...key, last_hour: await lastHourOf(source, id) });
}

/** The requests of a key in the last hour, over all protocols; null = none is known. */
async function lastHourOf({ snapshots }: ConsoleSource, id: string): Promise<KeyDetails['last_hour']> {
  const all = (await snapshots(['principals'])).flatMap(({ observed }) => observed?.principals ?? []);
  const own = all.filter(({ key }) => key === id);
  if (own.length === 0) return null;
  const sum = (of: 'allowed' | 'denied'): number => own.reduce((whole, one) => whole + one[of], 0);
  return { allowed: sum('allowed'), denied: sum('denied') };
}

function keyOptions(source: ConsoleSource): KeyOptions {
  const { config, policy } = source.state();
  const { keys_file: file, shared } = config.gateway;
  return {
    place: file !== null ? 'file' : shared.keys ? 'redis' : null,
    limits: (policy.limits ?? []).map(({ id }) => id),
    tenants: (policy.tenants ?? []).some(({ from }) => from !== undefined),
  };
}

/** Makes a change as the admin port does, and records it. */
async function changeKey({ source, act }: DataCall, request: KeyRequest): Promise<DataAnswer> {
  const method: AdminAct['method'] = `gateway_key_${request.change}`;
  const asked = request.change === 'create' ? {} : { target: { id: request.id } };
  const changed = await source.changeKey(request).catch((error: unknown) => {
    act({ method, ...asked, result: 'failed' });
    throw error;
  });
  if (!changed.ok) {
    act({ method, ...asked, result: 'failed' });
    return {
      status: KEY_REFUSALS[changed.why],
      body: { error: changed.problems[0] ?? '', problems: changed.problems },
    };
  }
  const { id, name, expiresAt } = changed.key;
  const ended = request.change === 'expire' && expiresAt !== undefined && expiresAt <= source.now();
  act({ method, target: { id, name }, ...(ended && { ended }), result: changed.inForce ? 'ok' : 'not in force' });
  return ok(changedKeyOf(changed, source.now()));
}
