import type { JsonObject } from '../../json/tree.ts';
import type { TenantReading } from './reading.ts';
import { type Action, type Fields, type Finish, membersOf, readMembers } from './shapes.ts';

/*
 * Objects of several forms. Upstream takes the first form that it can read, and passes over members that this form does not have
 * (serde's untagged enums). So the form that is judged here must be the one that upstream takes, and the object must have no other
 * member: a form is told by its members, and two forms that one object could have are told apart by the values.
 */

/** One form of an object. */
export interface Variant {
  /** The members without which upstream does not read this form. */
  readonly required: readonly string[];
  /** All of its members. A member that several forms have is read by the same action in each. */
  readonly fields: Fields;
  /** True = upstream does not read this form with other members; else it passes over them. */
  readonly isExact?: boolean;
  /** False = upstream might read the object as another form. Needed where another form asks for no member but those of this one. */
  readonly isSure?: (reading: TenantReading, node: JsonObject) => boolean;
  /** Called for an object of this form. */
  readonly finish?: Finish;
}

/**
 * An object in exactly one of several forms, with no members but those of its form.
 *
 * Throws a `TypeError` where two forms share a member and read it by different actions, and where a form could be read as another
 * one and has no `isSure`: both are faults of the table.
 *
 * @param what named in the refusal of an object that has none of the forms
 */
export function oneOf(variants: readonly Variant[], what: string, finish?: Finish): Action {
  const forms = variants.map((variant) => ({ ...variant, names: new Set(Object.keys(variant.fields)) }));
  for (const form of forms) judgeForm(form, forms, what);
  const known = membersOf(Object.assign({}, ...variants.map(({ fields }) => fields)));
  const ofNone = forms.filter(({ required }) => required.length === 0);
  const byMember = new Map(Array.from(known.keys(), (key) => [key, forms.filter(({ names }) => names.has(key))]));
  return (reading) => {
    const node = readMembers(reading, known);
    const [first] = node.keys;
    const form = (first === undefined ? ofNone : byMember.get(first))?.find((one) => isOf(one, node));
    if (!form || form.isSure?.(reading, node) === false) throw reading.fault(`expected one form of ${what}`);
    form.finish?.(reading, node);
    finish?.(reading, node);
    return node;
  };
}

interface Form extends Variant {
  readonly names: ReadonlySet<string>;
}

function isOf({ required, names }: Form, node: JsonObject): boolean {
  for (const name of required) if (!node.has(name)) return false;
  for (const key of node.keys) if (!names.has(key)) return false;
  return true;
}

function judgeForm(form: Form, forms: readonly Form[], what: string): void {
  for (const other of forms) {
    if (other === form) continue;
    const differs = [...form.names].find((name) => other.names.has(name) && other.fields[name] !== form.fields[name]);
    if (differs !== undefined) throw new TypeError(`${what}: two forms read \`${differs}\` by different actions`);
    if (!form.isSure && couldBe(form, other))
      throw new TypeError(`${what}: the form of ${form.required} could be that of ${other.required}`);
  }
}

/** True = upstream might read an object with members of `form` alone as `other`. */
function couldBe(form: Form, other: Form): boolean {
  const reaches = other.required.every((name) => form.names.has(name));
  return reaches && (!other.isExact || form.required.every((name) => other.names.has(name)));
}
