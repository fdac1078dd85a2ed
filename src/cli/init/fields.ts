import { posix } from 'node:path';

/** A mapping of YAML. */
export type Fields = Readonly<Record<string, unknown>>;

/** True = a mapping. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A path in the container of Qdrant, which counts relative ones from its own folder. */
export function inContainer(path: string): string {
  return posix.join(path.startsWith('/') ? '/' : '/qdrant', path);
}

/** True = a folder or file that is mounted there holds the path. */
export function holds(target: string, path: string): boolean {
  return path === target || path.startsWith(`${target.replace(/\/$/, '')}/`);
}
