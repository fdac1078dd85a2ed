/** Upstream's errors on rows with a filter, of which everything is known: they name nothing (Qdrant v1.18.3). */
const NAMELESS = new Set([
  'Service internal error: Could not get telemetry from cluster',
  'Service internal error: Timeout',
]);
/** Says what is wrong with the query that the caller itself sent. */
const ABOUT_THE_QUERY = /^Query deserialize error: [a-z0-9 ,`_]{1,120}$/i;
/** More is no error of upstream's. */
const MAX_ERROR_BYTES = 4_096;
const NOT_FOUND = /^Not found: Collection `([^`]*)` doesn't exist!$/;

/**
 * The body of upstream's error for a caller with a list of collections: as it is where it can name nothing that the caller may
 * not see, else one that says nothing. INVARIANT: with a list access an answer is either filtered or not given at all.
 *
 * @param target the collection that the caller named itself
 */
export function errorForList(status: number, body: Buffer, target: string | undefined): Buffer {
  if (body.length === 0) return body;
  const { text, time } = errorOf(body) ?? {};
  const said = text !== undefined && saysNothing(text, target) ? text : `upstream answered ${status}`;
  // Written anew: what a repeated member hides in upstream's bytes is not given.
  return Buffer.from(`{"status":{"error":${JSON.stringify(said)}},"time":${said === text && time ? time : '0.0'}}`);
}

function saysNothing(text: string, target: string | undefined): boolean {
  if (NAMELESS.has(text)) return true;
  const missing = NOT_FOUND.exec(text)?.[1];
  return missing === undefined ? ABOUT_THE_QUERY.test(text) : missing === target;
}

/** Text and time of an error in upstream's envelope, if nothing else stands in it. */
function errorOf(body: Buffer): { readonly text: string; readonly time: number | undefined } | undefined {
  if (body.length > MAX_ERROR_BYTES) return undefined;
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
  if (!hasOnly(answer, ['status', 'time']) || !hasOnly(answer.status, ['error'])) return undefined;
  const { error } = answer.status;
  const { time } = answer;
  if (typeof error !== 'string' || (time !== undefined && typeof time !== 'number')) return undefined;
  return { text: error, time };
}

function hasOnly<Name extends string>(value: unknown, names: readonly Name[]): value is Partial<Record<Name, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  return Object.keys(value).every((name) => names.some((known) => known === name));
}
