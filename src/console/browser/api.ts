/** The requests of the console to its server. */

/** A request that was not carried out; each problem is a sentence for the reader. */
export class ApiFault extends Error {
  readonly status: number;
  readonly problems: readonly string[];

  constructor(status: number, problems: readonly string[]) {
    super(problems[0] ?? 'the gateway gave no reason');
    this.status = status;
    this.problems = problems;
  }
}

/** Below the page itself. */
const BASE = 'api/';

/** Called when a session has ended; resolves once there is another one. */
let askToLogIn: () => Promise<void> = async () => undefined;

/** Sets what asks the person to log in again. */
export function onSessionEnd(ask: () => Promise<void>): void {
  askToLogIn = ask;
}

/**
 * Asks the server. A session that has ended holds the request until the person has logged in again, and sends it once more: it was
 * refused, so that nothing was done. Rejects with `ApiFault`.
 */
export async function ask<T>(path: string, body?: object, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const answer = await send(path, body, signal);
    if (answer.status !== 401) return (await read(answer)) as T;
    await answer.body?.cancel();
    await askToLogIn();
  }
}

/** One request, whatever its answer. Rejects with `ApiFault` if there is none. */
export async function send(path: string, body?: object, signal?: AbortSignal): Promise<Response> {
  const settings: RequestInit = {
    method: body ? 'POST' : 'GET',
    headers: { 'x-qdrant-console': '1', ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
    credentials: 'same-origin',
    cache: 'no-store',
    redirect: 'error',
  };
  try {
    return await fetch(BASE + path, settings);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiFault(0, ['The gateway does not answer. It may be restarting; this page tries again by itself.']);
  }
}

/** The JSON of an answer. Rejects with `ApiFault` for a refusal. */
export async function read(answer: Response): Promise<unknown> {
  const value: unknown = await answer.json().catch(() => undefined);
  if (answer.ok) return value;
  throw new ApiFault(answer.status, problemsIn(value, answer.status));
}

function problemsIn(value: unknown, status: number): readonly string[] {
  const { problems, error } = Object(value) as { problems?: unknown; error?: unknown };
  if (Array.isArray(problems) && problems.length > 0) return problems.map(String);
  if (typeof error === 'string') return [error];
  return [`The gateway answered with status ${status} and no reason.`];
}

/** The sentences of a fault. */
export function problemsOf(error: unknown): readonly string[] {
  if (error instanceof ApiFault) return error.problems;
  return ['Something went wrong in this page. Reload it; the gateway itself is not affected.'];
}
