import { tenantField } from '../../policy/denial.ts';
import { judgeChanged, readOnlyFields, unfilteredFields } from '../../policy/tenants/kept-fields.ts';
import { type PathStep, type PayloadField, pathText, reaches } from '../../policy/tenants/payload-path.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { requestPath } from '../../policy/tenants/request-path.ts';
import { type PointId, releaseRefused } from '../../policy/tenants/rewriting.ts';
import { shardOf, type TenantShard } from '../../policy/tenants/shard.ts';
import type { Checks, TenantContext } from './context.ts';
import { conditionsOf, type Filter, hasId, type IdMessage, isEmpty, within } from './filters.ts';
import { badForm, idOf } from './ids.ts';
import { judgeFilter } from './keys/filter-keys.ts';
import { make } from './messages/codec.ts';
import { type Placed, place } from './shard-key.ts';
import { type Entry, judgeSetting, judgeWhole, ownPayload, ownSetting } from './values.ts';

/** The fields that any write has. */
export interface Write extends Placed {
  points?: unknown;
  pointsSelector?: Selector | undefined;
  payload?: Entry[];
  key?: string | undefined;
  keys?: readonly string[];
  updateFilter?: Filter | undefined;
  readonly updateMode?: number | undefined;
}

/** A point that is written. */
export interface Point {
  readonly id?: IdMessage;
  payload: Entry[];
}

/** Ids of a batch that its later operations may name. */
const MAX_WRITTEN_IDS = 100_000;

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
  readonly #shard: TenantShard | undefined;
  readonly #unfiltered: readonly PayloadField[];
  readonly #readOnly: readonly PayloadField[];
  /** True = upstream says that a point is missing. It does so only if the client waits for the result. */
  readonly #tellsMissing: boolean;
  /** Ids that earlier operations of the same batch write. */
  readonly #written = new Set<PointId>();

  constructor(context: TenantContext, checks: Checks, waits: boolean) {
    this.#context = context;
    this.#checks = checks;
    this.#own = conditionsOf(context.conditions);
    this.#shard = shardOf(context.conditions);
    this.#unfiltered = unfilteredFields(context.conditions);
    this.#readOnly = readOnlyFields(context.conditions);
    this.#tellsMissing = waits;
  }

  upsert(write: Write): void {
    this.needsUpdateFilter();
    for (const [index, point] of (write.points as readonly Point[]).entries()) {
      const id = this.ownPoint(point, index);
      if (this.notes(write)) this.noteWritten(id);
    }
    this.bindUpsert(write);
  }

  /** Makes a point the tenant's. Returns its id. @param index among the points, for refusals */
  ownPoint(point: Point, index: number): PointId {
    const id = idOf(point.id, `points.${index}.id`);
    judgeWhole(point.payload, this.#readOnly);
    point.payload = entries(ownPayload(point.payload, this.#context.conditions, `points.${index}.payload`));
    return id;
  }

  /** True = the ids of an upsert are to be noted. A point that is only updated may not be there. */
  notes({ updateMode }: Pick<Write, 'updateMode'>): boolean {
    return this.#tellsMissing && updateMode !== UPDATE_ONLY;
  }

  /** Notes an id that later operations of the batch may name. */
  noteWritten(id: PointId): void {
    if (this.#written.size < MAX_WRITTEN_IDS) this.#written.add(id);
  }

  /** Binds all of an upsert but its points. */
  bindUpsert(write: Write): void {
    write.updateFilter = this.#within(write.updateFilter, true);
    place(write, this.#shard);
  }

  updateVectors(write: Write): void {
    this.needsUpdateFilter();
    const points = write.points as readonly { readonly id?: IdMessage }[];
    this.#mustExist(points.map(({ id }, index) => idOf(id, `points.${index}.id`)));
    write.updateFilter = this.#within(write.updateFilter, false);
    place(write, this.#shard);
  }

  /** Deletes points: missing ones are no fault. */
  deletePoints(write: Write): void {
    write.points = this.#selected(write.points as Selector | undefined, false);
    place(write, this.#shard);
  }

  deleteVectors(write: Write): void {
    write.pointsSelector = this.#selected(write.pointsSelector, true);
    place(write, this.#shard);
  }

  setPayload(write: Write): void {
    const at = write.key === undefined ? [] : pathAt(write.key, 'key');
    judgeSetting(write.payload ?? [], at, this.#readOnly);
    write.payload = entries(ownSetting(write.payload ?? [], at, this.#context.conditions, 'payload'));
    write.pointsSelector = this.#selected(write.pointsSelector, true);
    place(write, this.#shard);
  }

  /** Upstream ignores a `key` here. */
  overwritePayload(write: Write): void {
    write.key = undefined;
    judgeWhole(write.payload ?? [], this.#readOnly);
    write.payload = entries(ownPayload(write.payload ?? [], this.#context.conditions, 'payload'));
    write.pointsSelector = this.#selected(write.pointsSelector, true, true);
    place(write, this.#shard);
  }

  deletePayload(write: Write): void {
    for (const [index, key] of (write.keys ?? []).entries()) {
      const path = pathAt(key, `keys.${index}`);
      judgeChanged(this.#readOnly, path);
      for (const { field } of this.#context.conditions) {
        if (reaches(path, field)) {
          throw new TenantRefusal(
            tenantField(`would remove the field \`${pathText(field)}\` of the tenant in \`keys.${index}\``),
          );
        }
      }
    }
    write.pointsSelector = this.#selected(write.pointsSelector, true);
    place(write, this.#shard);
  }

  /** A payload without anything but the field overwrites the old one. */
  clearPayload(write: Write): Placed & { payload: Entry[]; pointsSelector: Selector } {
    place(write, this.#shard);
    return {
      payload: entries(ownPayload([], this.#context.conditions, 'points')),
      pointsSelector: this.#selected(write.points as Selector | undefined, true, true),
      shardKeySelector: write.shardKeySelector,
    };
  }

  /** The client's filter within the conditions. @param replaces as in `#guards` */
  #within(filter: Filter | undefined, replaces: boolean): Filter {
    judgeFilter(this.#unfiltered, filter);
    return within([...this.#own, ...this.#guards(replaces)], filter);
  }

  /**
   * INVARIANT: a point with a value in a field that the tenant does not write keeps its payload: a write that would replace it passes
   * the point over.
   */
  #guards(replaces: boolean): readonly Buffer[] {
    return replaces ? this.#readOnly.map(isEmpty) : [];
  }

  /** @param replaces the write replaces whole payloads */
  #selected(selector: Selector | undefined, missingIsFault: boolean, replaces = false): Selector {
    const chosen = selector?.pointsSelectorOneOf;
    if (chosen?.case === 'filter') return byFilter(this.#within(chosen.value, replaces));
    if (chosen?.case !== 'points') throw badForm('points', 'must be selected by ids or by a filter');
    const ids = [...new Set(chosen.value.ids.map((id, index) => idOf(id, `ids.${index}`)))];
    // Upstream refuses it.
    if (ids.length === 0) return selector as Selector;
    if (missingIsFault) this.#mustExist(ids);
    return byFilter(within([...this.#own, ...this.#guards(replaces), hasId(ids)], undefined));
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

  /** Throws a refusal if the release of Qdrant cannot bind writes of points. */
  needsUpdateFilter(): void {
    const { features } = this.#context;
    if (!features.updateFilter)
      throw new TenantRefusal(releaseRefused(features, 'Writes of points of tenants', '1.15.4'));
  }
}

function byFilter(filter: Filter): Selector {
  return make<Selector>('PointsSelector', { pointsSelectorOneOf: { case: 'filter', value: filter } });
}

function entries(payload: Entry[]): Entry[] {
  return payload.map((entry) => make<Entry>('ValueEntry', entry));
}

function pathAt(text: string, place: string): readonly PathStep[] {
  const path = requestPath(text);
  if (!path) throw badForm(place, 'is no path into a payload');
  return path;
}
