import { badRequest, type Denial } from '../../policy/denial.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { MAX_CHECKED_IDS, type PointId } from '../../policy/tenants/rewriting.ts';
import { uuidOf } from '../../policy/tenants/uuid.ts';
import type { IdMessage } from './filters.ts';

/** Refuses a request whose form is not known. @param place of the field */
export function badForm(place: string, what: string): TenantRefusal {
  return new TenantRefusal(formDenial(place, what));
}

export function formDenial(place: string, what: string): Denial {
  return badRequest('tenant_form', `\`${place}\` ${what}`);
}

/** Refuses a request with more ids than may have to exist, or be retrieved. */
export function tooManyIds(): TenantRefusal {
  return badForm('ids', `are more than ${MAX_CHECKED_IDS}`);
}

/** The id of a point in one form. */
export function idOf(message: IdMessage | undefined, place: string): PointId {
  const id = message?.pointIdOptions;
  if (id?.case === 'num') return id.value;
  if (id?.case !== 'uuid') throw badForm(place, 'has no id');
  const uuid = uuidOf(id.value);
  if (uuid === undefined) throw badForm(place, 'is no UUID');
  return uuid;
}
