import { readAnswer, type Source } from './filter-source.ts';
import type { TelemetryAudit } from './telemetry-settings.ts';

/** The gateway's own values in telemetry; `undefined` = upstream's value is kept. */
export interface TelemetryPatch {
  readonly jwtRbac?: boolean | undefined;
  readonly hideJwtDashboard?: boolean | undefined;
  readonly audit?: TelemetryAudit | undefined;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Sets `result.app.jwt_rbac` and `result.app.hide_jwt_dashboard`, by which the web UI decides whether to show its token
 * page, and `result.app.audit`; every other byte stays. An answer without `result.app` stays as it is. Throws an `AnswerFault` when the answer is
 * no JSON.
 */
export function patchTelemetry(body: Buffer, patch: TelemetryPatch): Buffer {
  const wanted = new Map<string, string>();
  if (patch.jwtRbac !== undefined) wanted.set('jwt_rbac', String(patch.jwtRbac));
  if (patch.hideJwtDashboard !== undefined) wanted.set('hide_jwt_dashboard', String(patch.hideJwtDashboard));
  if (patch.audit !== undefined) wanted.set('audit', JSON.stringify(patch.audit));
  return readAnswer(body, (source) => {
    const edits: Edit[] = [];
    intoObject(source, 'result', () => intoObject(source, 'app', () => edits.push(...editsOf(source, wanted))));
    return applyEdits(body, edits);
  });
}

/** Reads the next value and calls `inside` at each member `key` of it that is an object. */
function intoObject({ reader }: Source, key: string, inside: () => void): void {
  if (reader.peek() !== 'object') {
    reader.skipValue();
    return;
  }
  reader.readObject((found) => {
    if (found === key && reader.peek() === 'object') inside();
    else reader.skipValue();
  });
}

/** Reads the object at hand: values replaced where they are, missing members put in front. */
function editsOf({ reader }: Source, wanted: ReadonlyMap<string, string>): readonly Edit[] {
  const edits: Edit[] = [];
  const missing = new Map(wanted);
  let empty = true;
  const inside = reader.position + 1;
  reader.readObject((key) => {
    const { start, end } = reader.skipValue();
    empty = false;
    const text = wanted.get(key);
    if (text === undefined) return;
    missing.delete(key);
    edits.push({ start, end, text });
  });
  if (missing.size > 0) {
    const members = Array.from(missing, ([key, text]) => `"${key}":${text}`).join(',');
    edits.unshift({ start: inside, end: inside, text: empty ? members : `${members},` });
  }
  return edits;
}

function applyEdits(body: Buffer, edits: readonly Edit[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const { start, end, text } of edits) {
    parts.push(body.subarray(at, start), Buffer.from(text));
    at = end;
  }
  parts.push(body.subarray(at));
  return Buffer.concat(parts);
}
