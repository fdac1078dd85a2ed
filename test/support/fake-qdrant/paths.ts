import { isObject, type Json, type JsonObject } from './json.ts';

type Step = { key: string; each: boolean; index: number | undefined };

function stepsOf(path: string): Step[] {
  const steps: Step[] = [];
  for (const part of path.matchAll(/(?:"([^"]*)"|([^.[]+))(\[(\d*)\])?\.?/g)) {
    const index = part[4];
    const hasIndex = index !== undefined && index !== '';
    steps.push({
      key: part[1] ?? part[2] ?? '',
      each: index === '',
      index: hasIndex ? Number(index) : undefined,
    });
  }
  return steps;
}

/** All values below a payload path such as `a.b`, `a[].b` or `a[0].b`; arrays at the end are kept whole. */
export function valuesAt(payload: Json, path: string): Json[] {
  let current: Json[] = [payload];
  for (const step of stepsOf(path)) {
    const next: Json[] = [];
    for (const value of current) {
      const member = isObject(value) ? value[step.key] : undefined;
      if (member === undefined) {
        continue;
      }
      if (step.each) {
        next.push(...(Array.isArray(member) ? member : []));
      } else if (step.index !== undefined) {
        next.push(...(Array.isArray(member) ? member.slice(step.index, step.index + 1) : []));
      } else {
        next.push(member);
      }
    }
    current = next;
  }
  return current;
}

/** The values a condition looks at: as valuesAt, with arrays at the end opened. */
export function leavesAt(payload: Json, path: string): Json[] {
  return valuesAt(payload, path).flatMap((value) => (Array.isArray(value) ? value : [value]));
}

/** A copy of the payload without what is below the path. */
export function withoutPath(payload: JsonObject, path: string): JsonObject {
  const [head, ...rest] = path.split('.');
  if (head === undefined || payload[head] === undefined) {
    return payload;
  }
  const member = payload[head];
  const copy: JsonObject = { ...payload };
  if (rest.length === 0) {
    delete copy[head];
  } else if (isObject(member)) {
    copy[head] = withoutPath(member, rest.join('.'));
  }
  return copy;
}

/** A copy of the payload holding only what is below the paths. */
export function onlyPaths(payload: JsonObject, paths: string[]): JsonObject {
  let chosen: JsonObject = {};
  for (const path of paths) {
    const [head, ...rest] = path.replaceAll('[]', '').split('.');
    const member = head === undefined ? undefined : payload[head];
    if (head === undefined || member === undefined) {
      continue;
    }
    if (rest.length === 0 || !isObject(member)) {
      chosen = { ...chosen, [head]: member };
    } else {
      const before = chosen[head];
      const inner = onlyPaths(member, [rest.join('.')]);
      chosen = { ...chosen, [head]: { ...(isObject(before) ? before : {}), ...inner } };
    }
  }
  return chosen;
}
