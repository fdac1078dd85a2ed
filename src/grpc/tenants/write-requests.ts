import { tenantField, tenantRelease } from '../../policy/denial.ts';
import { parsePath, pathText, reaches } from '../../policy/tenants/payload-path.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import type { PointId } from '../../policy/tenants/rewriting.ts';
import type { Checks, TenantContext } from './context.ts';
import { conditionsOf, type Filter, hasId, type IdMessage, within } from './filters.ts';
import { badForm, idOf } from './ids.ts';
import { make } from './messages/codec.ts';
import { type Entry, ownPayload, ownSetting } from './values.ts';

/** The fields that any write has. */
export interface Write {
  points?: unknown;
  pointsSelector?: Selector | undefined;
  payload?: Entry[];
  key?: string | undefined;
  keys?: readonly string[];
  updateFilter?: Filter | undefined;
  readonly updateMode?: number | undefined;
}

/** `UpdateMode.UpdateOnly`. */
const UPDATE_ONLY = 2;

interface Selector {
  pointsSelectorOneOf:
    | { readonly case: 'points'; readonly value: { readonly ids: readonly IdMessage[] } }
    | { readonly case: 'filter'; readonly value: Filter }
    | { readonly case: undefined };
}

/** Rewrites the writes of one message. Single requests and operations of a batch have the same fields. */
export class Writes {
  readonly #context: TenantContext;
  readonly #checks: Checks;
  readonly #own: readonly Buffer[];
  /** True = upstream says that a point is missing. It does so only if the client waits for the result. */
  readonly #tellsMissing: boolean;
  /** Ids that earlier operations of the same batch write. */
  readonly #written = new Set<PointId>();

  constructor(context: TenantContext, checks: Checks, waits: boolean) {
    this.#context = context;
    this.#checks = checks;
    this.#own = conditionsOf(context.conditions);
    this.#tellsMissing = waits;
  }

  upsert(write: Write): void {
    this.#needsUpdateFilter();
    const points = write.points as readonly { readonly id?: IdMessage; payload: Entry[] }[];
    for (const [index, point] of points.entries()) {
      const id = idOf(point.id, `points.${index}.id`);
      // A point that is only updated may not be there.
      if (write.updateMode !== UPDATE_ONLY) this.#written.add(id);
      point.payload = entries(ownPayload(point.payload, this.#context.conditions, `points.${index}.payload`));
    }
    write.updateFilter = within(this.#own, write.updateFilter);
  }

  updateVectors(write: Write): void {
    this.#needsUpdateFilter();
    const points = write.points as readonly { readonly id?: IdMessage }[];
    this.#mustExist(points.map(({ id }, index) => idOf(id, `points.${index}.id`)));
    write.updateFilter = within(this.#own, write.updateFilter);
  }

  /** Deletes points: missing ones are no fault. */
  deletePoints(write: Write): void {
    write.points = this.#selected(write.points as Selector | undefined, false);
  }

  deleteVectors(write: Write): void {
    write.pointsSelector = this.#selected(write.pointsSelector, true);
  }

  setPayload(write: Write): void {
    const at = write.key === undefined ? [] : pathAt(write.key, 'key');
    write.payload = entries(ownSetting(write.payload ?? [], at, this.#context.conditions, 'payload'));
    write.pointsSelector = this.#selected(write.pointsSelector, true);
  }

  /** Upstream ignores a `key` here. */
  overwritePayload(write: Write): void {
    write.key = undefined;
    write.payload = entries(ownPayload(write.payload ?? [], this.#context.conditions, 'payload'));
    write.pointsSelector = this.#selected(write.pointsSelector, true);
  }

  deletePayload(write: Write): void {
    for (const [index, key] of (write.keys ?? []).entries()) {
      const path = pathAt(key, `keys.${index}`);
      for (const { field } of this.#context.conditions) {
        if (reaches(path, field)) {
          throw new TenantRefusal(
            tenantField(`would remove the field \`${pathText(field)}\` of the tenant in \`keys.${index}\``),
          );
        }
      }
    }
    write.pointsSelector = this.#selected(write.pointsSelector, true);
  }

  /** A payload without anything but the field overwrites the old one. */
  clearPayload(selector: unknown): { payload: Entry[]; pointsSelector: Selector } {
    return {
      payload: entries(ownPayload([], this.#context.conditions, 'points')),
      pointsSelector: this.#selected(selector as Selector | undefined, true),
    };
  }

  #selected(selector: Selector | undefined, missingIsFault: boolean): Selector {
    const chosen = selector?.pointsSelectorOneOf;
    if (chosen?.case === 'filter') return byFilter(within(this.#own, chosen.value));
    if (chosen?.case !== 'points') throw badForm('points', 'must be selected by ids or by a filter');
    const ids = [...new Set(chosen.value.ids.map((id, index) => idOf(id, `ids.${index}`)))];
    // Upstream refuses it.
    if (ids.length === 0) return selector as Selector;
    if (missingIsFault) this.#mustExist(ids);
    return byFilter(within([...this.#own, hasId(ids)], undefined));
  }

  #mustExist(ids: readonly PointId[]): void {
    if (!this.#tellsMissing) return;
    const { collection, conditions } = this.#context;
    this.#checks.add(
      collection,
      conditions,
      ids.filter((id) => !this.#written.has(id)),
    );
  }

  #needsUpdateFilter(): void {
    if (!this.#context.features.updateFilter)
      throw new TenantRefusal(tenantRelease('Writes of points of tenants', '1.15.4'));
  }
}

function byFilter(filter: Filter): Selector {
  return make<Selector>('PointsSelector', { pointsSelectorOneOf: { case: 'filter', value: filter } });
}

function entries(payload: Entry[]): Entry[] {
  return payload.map((entry) => make<Entry>('ValueEntry', entry));
}

function pathAt(text: string, place: string): NonNullable<ReturnType<typeof parsePath>> {
  const path = parsePath(text);
  if (!path) throw badForm(place, 'is no path into a payload');
  return path;
}
