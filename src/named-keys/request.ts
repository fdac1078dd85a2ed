import { z } from 'zod';
import { isLongOverlap, isNoTime, MOMENT_FORM, OVERLAP_FORM, readMoment } from '../config/keys/moment.ts';
import { isoTime, type WantedKey } from './changes.ts';
import { KeyFault } from './fault.ts';

/* The JSON bodies of changes. INVARIANT: a text about a fault repeats no value of the body but
 * those of networks and accesses: a value may be a secret. */

const DEFAULT_LIFE = '90d';
const DEFAULT_OVERLAP = '24h';

const moment = (form: string) => z.string({ error: `must be like ${form}` });
const END_FORM = `${MOMENT_FORM}, or never`;
const AT_FORM = `now, ${END_FORM}`;

const anything = z.unknown().optional();
/** Values are checked with the entry; only their names are checked here. */
const createSchema = z.strictObject({
  ...{ id: anything, name: anything, owner: anything, access: anything, networks: anything, limits: anything },
  tenant: anything,
  break_glass: anything,
  expires_at: moment(END_FORM).default(DEFAULT_LIFE),
  not_before: moment(MOMENT_FORM).optional(),
});
const rotateSchema = z.strictObject({ overlap: moment(OVERLAP_FORM).default(DEFAULT_OVERLAP) });
const expireSchema = z.strictObject({ at: moment(AT_FORM).default('now') });
const emptySchema = z.strictObject({});

/** The key that a body asks for. Throws `KeyFault`. @param now milliseconds since 1970 */
export function readCreate(body: unknown, now: number): WantedKey {
  const fields = read(createSchema, body);
  const begin = fields.not_before;
  return {
    ...{ id: fields.id, name: fields.name, owner: fields.owner, access: fields.access },
    ...{ networks: fields.networks, limits: fields.limits, tenant: fields.tenant },
    ...(fields.break_glass === undefined ? {} : { break_glass: fields.break_glass }),
    expires_at: endIn('expires_at', fields.expires_at, now, END_FORM),
    not_before: begin === undefined ? undefined : isoTime(secondsIn('not_before', begin, now, MOMENT_FORM) * 1000),
  };
}

/** End of the former text in milliseconds since 1970; `undefined` = at once. Throws `KeyFault`. */
export function readOverlap(body: unknown, now: number): number | undefined {
  const { overlap } = read(rotateSchema, body);
  if (isNoTime(overlap)) return undefined;
  const seconds = secondsIn('overlap', overlap, now, OVERLAP_FORM);
  if (isLongOverlap(seconds, now)) throw new KeyFault('invalid', [`overlap is too long; it is like ${OVERLAP_FORM}`]);
  return seconds * 1000;
}

/** The end of a key, in the form of the file. Throws `KeyFault`. */
export function readEnd(body: unknown, now: number): string {
  const { at } = read(expireSchema, body);
  return at === 'now' ? isoTime(now) : endIn('at', at, now, AT_FORM);
}

/** Throws `KeyFault` if there is a body. */
export function readNothing(body: unknown): void {
  read(emptySchema, body);
}

function endIn(field: string, text: string, now: number, form: string): string {
  return text === 'never' ? text : isoTime(secondsIn(field, text, now, form) * 1000);
}

function secondsIn(field: string, text: string, now: number, form: string): number {
  const seconds = readMoment(text, now);
  if (typeof seconds === 'number') return seconds;
  const fault = seconds === 'past' ? 'must not be in the past; a time is' : 'must be like';
  throw new KeyFault('invalid', [`${field} ${fault} ${form}`]);
}

function read<T extends z.ZodObject>(schema: T, body: unknown): z.output<T> {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const allowed = Object.keys(schema.shape);
  throw new KeyFault(
    'invalid',
    parsed.error.issues.map(({ code, path, message }) => {
      if (code === 'unrecognized_keys') {
        return `body: unknown field; ${allowed.length === 0 ? 'none is known here' : `allowed: ${allowed.join(', ')}`}`;
      }
      return path.length === 0 ? 'body: must be one JSON object' : `${path.join('.')} ${message}`;
    }),
  );
}
