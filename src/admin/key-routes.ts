import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AdminAct } from '../audit/act.ts';
import { changedKeyOf } from '../named-keys/shown.ts';
import type { KeyChanged, KeyRequest } from '../named-keys/store.ts';
import { KEY_REFUSALS } from '../observability/asked-change.ts';
import { hasQuery, say } from './answers.ts';

/** Parts of the source that the routes of named keys use. */
export interface KeySource {
  /** One key in force; a text if none has this id. */
  readonly key: (id: string) => Promise<object | string>;
  readonly changeKey: (request: KeyRequest) => Promise<KeyChanged>;
  readonly acted: (act: Omit<AdminAct, 'at'>) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const CHANGES = ['rotate', 'disable', 'enable', 'expire'] as const;
const NO_PARAMETERS = 'query: unknown parameter; none is known here';
/** Seconds after which a locked file is worth another try. */
const LOCKED_AGAIN = 5;

const actOf = (change: KeyRequest['change']): AdminAct['method'] => `gateway_key_${change}`;

/** Adds the routes of single keys and of changes. */
export function addKeyRoutes(app: FastifyInstance, source: KeySource): void {
  const guarded = (change: KeyRequest['change']) =>
    ({ config: { guard: { token: 'needed', act: actOf(change) } } }) as const;
  const onOne = (change: Exclude<KeyRequest['change'], 'create'>) => (request: FastifyRequest, reply: FastifyReply) =>
    answer(source, { change, id: idOf(request), body: request.body }, request, reply);
  app.get('/-/keys/:id', { config: { guard: { token: 'needed' } } }, async (request, reply) => {
    if (hasQuery(request)) return await say(reply, 400, NO_PARAMETERS);
    const key = await source.key(idOf(request));
    return typeof key === 'string' ? await say(reply, 404, key) : key;
  });
  app.post('/-/keys', guarded('create'), (request, reply) =>
    answer(source, { change: 'create', body: request.body }, request, reply),
  );
  for (const change of CHANGES) app.post(`/-/keys/:id/${change}`, guarded(change), onOne(change));
  app.delete('/-/keys/:id', guarded('delete'), onOne('delete'));
}

function idOf({ params }: FastifyRequest): string {
  const { id } = Object(params) as { id?: unknown };
  return typeof id === 'string' ? id : '';
}

/** Makes a change, records it, and answers it. 202 = it is in the file, but not in force. */
async function answer(
  source: KeySource,
  wanted: KeyRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (hasQuery(request)) return await say(reply, 400, NO_PARAMETERS);
  const asked = wanted.change === 'create' ? {} : { target: { id: wanted.id } };
  const act = { method: actOf(wanted.change), remote: request.ip, ...asked };
  // The text of a key is told once: no time without traffic may end the connection before the answer.
  request.socket.setTimeout(0);
  const changed = await source.changeKey(wanted).catch((error: unknown) => {
    source.acted({ ...act, result: 'failed', durationMs: reply.elapsedTime });
    throw error;
  });
  const { elapsedTime: durationMs } = reply;
  if (!changed.ok) {
    source.acted({ ...act, result: 'failed', durationMs });
    if (changed.why === 'locked' || changed.why === 'redis') reply.header('retry-after', LOCKED_AGAIN);
    return await reply.code(KEY_REFUSALS[changed.why]).send({ ok: false, problems: changed.problems });
  }
  const { id, name, expiresAt } = changed.key;
  const ended = wanted.change === 'expire' && expiresAt !== undefined && expiresAt <= source.now();
  const result = changed.inForce ? 'ok' : 'not in force';
  source.acted({ ...act, target: { id, name }, ...(ended && { ended }), result, durationMs });
  const done = wanted.change === 'create' ? 201 : 200;
  return await reply.code(changed.inForce ? done : 202).send(changedKeyOf(changed, source.now()));
}
