import { type JsonMember, objectOf } from '../../json/assemble.ts';
import { readAnswer, type Source } from './filter-source.ts';
import type { TelemetryAudit } from './telemetry-settings.ts';

/** The gateway's own values in telemetry; `undefined` = upstream's value is kept. */
export interface TelemetryPatch {
  readonly jwtRbac?: boolean | undefined;
  readonly hideJwtDashboard?: boolean | undefined;
  readonly audit?: TelemetryAudit | undefined;
  /** True = upstream's value is left out instead. Default: false. */
  readonly hidesOthers?: boolean;
}

/** The members that say what Qdrant checks itself. */
const SETTINGS: ReadonlySet<string> = new Set(['jwt_rbac', 'hide_jwt_dashboard', 'audit']);

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string | Buffer;
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
    const hides = patch.hidesOthers === true;
    intoObject(source, 'result', () => intoObject(source, 'app', () => edits.push(...editsOf(source, wanted, hides))));
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

/**
 * Reads the object at hand: values replaced where they are, missing members put in front.
 *
 * @param hides other settings are left out, which writes the object anew
 */
function editsOf({ reader, body }: Source, wanted: ReadonlyMap<string, string>, hides: boolean): readonly Edit[] {
  const edits: Edit[] = [];
  const kept: JsonMember[] = [];
  const missing = new Map(wanted);
  const start = reader.position;
  let hidden = false;
  reader.readObject((key) => {
    const value = reader.skipValue();
    const text = wanted.get(key);
    if (hides && text === undefined && SETTINGS.has(key)) {
      hidden = true;
      return;
    }
    kept.push([key, text === undefined ? body.subarray(value.start, value.end) : Buffer.from(text)]);
    if (text === undefined) return;
    missing.delete(key);
    edits.push({ ...value, text });
  });
  const added = Array.from(missing, ([key, text]): JsonMember => [key, Buffer.from(text)]);
  if (hidden) return [{ start, end: reader.position, text: objectOf([...added, ...kept]) }];
  if (added.length > 0) {
    const members = Array.from(missing, ([key, text]) => `"${key}":${text}`).join(',');
    edits.unshift({ start: start + 1, end: start + 1, text: kept.length === 0 ? members : `${members},` });
  }
  return edits;
}

function applyEdits(body: Buffer, edits: readonly Edit[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const { start, end, text } of edits) {
    parts.push(body.subarray(at, start), typeof text === 'string' ? Buffer.from(text) : text);
    at = end;
  }
  parts.push(body.subarray(at));
  return Buffer.concat(parts);
}
