import { badRequest, type Denial } from '../../policy/denial.ts';
import type { PointId } from '../../policy/tenants/rewriting.ts';
import type { IdMessage } from './filters.ts';

/** A request that is refused. Thrown inside the rewriting only. */
export class Refused extends Error {
  readonly code = 'ERR_TENANT_REFUSED';
  readonly denial: Denial;

  constructor(denial: Denial) {
    super(denial.message);
    this.name = 'Refused';
    this.denial = denial;
  }
}

/** Refuses a request whose form is not known. @param place of the field */
export function badForm(place: string, what: string): Refused {
  return new Refused(formDenial(place, what));
}

export function formDenial(place: string, what: string): Denial {
  return badRequest('tenant_form', `\`${place}\` ${what}`);
}

const HEX = /^[0-9a-f]{32}$/;
const WRAPPED = /^(?:urn:uuid:(.*)|\{(.*)\})$/s;
const HYPHENATED = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/;

/** The id of a point in one form. Upstream takes a UUID with hyphens or without, in braces, or as a URN. */
export function idOf(message: IdMessage | undefined, place: string): PointId {
  const id = message?.pointIdOptions;
  if (id?.case === 'num') return id.value;
  if (id?.case !== 'uuid') throw badForm(place, 'has no id');
  const [, urn, braced] = WRAPPED.exec(id.value.toLowerCase()) ?? [];
  const text = urn ?? braced ?? id.value.toLowerCase();
  const hex = HYPHENATED.test(text) ? text.replaceAll('-', '') : text;
  const isWrapped = urn !== undefined || braced !== undefined;
  if (!HEX.test(hex) || (isWrapped && hex === text)) throw badForm(place, 'is no UUID');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
