import { nearest, suggest } from './nearest.ts';
import { isSection, namesIn, optionAt } from './options.ts';
import type { Problem } from './problem.ts';

/** One option set by one source. `value` is a string for text sources, any scalar for YAML. */
export type Setting = { readonly path: string; readonly value: unknown; readonly place: string };

/** The options of one source (file, environment, flags). Later layers override earlier ones. */
export type Layer = {
  readonly settings: readonly Setting[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
};

// Upstream: sections and options of Qdrant 1.19 that stay with Qdrant; naming them here is no mistake.
const QDRANT_ONLY = new Set(
  'storage cluster gpu inference telemetry_disabled feature_flags logger quota hnsw_index init_file_path'.split(' '),
);
const QDRANT_ONLY_SERVICE = new Set(
  (
    'max_workers slow_query_secs hardware_reporting metrics_prefix metrics_port static_content_dir enforce_internal_auth ' +
    'http_client_disconnect_timeout_sec'
  ).split(' '),
);
const NOT_YET = new Set(['service.metrics_port']);

function qdrantOwns(path: string): boolean {
  const [first = '', second = ''] = path.split('.');
  return QDRANT_ONLY.has(first) || (first === 'service' && QDRANT_ONLY_SERVICE.has(second));
}

function notYet(path: string): string | undefined {
  return [...NOT_YET].find((one) => path === one || path.startsWith(`${one}.`));
}

/**
 * Classifies a path that is no option: an error in the gateway's own sections, nothing for Qdrant's own options, a
 * warning for other names in Qdrant's sections (Qdrant ignores them), an error for a misspelt section.
 */
export function checkUnknown(path: string, place: string): Problem | { readonly warning: string } | null {
  const waiting = notYet(path);
  if (waiting !== undefined) {
    return { warning: `${place}: \`${waiting}\` is not supported by this version of the gateway, ignored` };
  }
  if (qdrantOwns(path)) return null;
  const parts = path.split('.');
  const known = parts.findIndex((_, depth) => !isSection(parts.slice(0, depth + 1).join('.')));
  const section = parts.slice(0, Math.max(known, 0)).join('.');
  const name = parts[Math.max(known, 0)] ?? '';
  const unknown = `unknown option \`${path}\``;
  const ours = section.split('.')[0] === 'gateway';
  const meant = nearest(name, namesIn(section));
  if (ours || (section === '' && meant !== undefined)) {
    return { place, message: `${unknown}, ${suggest(name, namesIn(section))}` };
  }
  const hint = meant === undefined ? '' : `, did you mean \`${meant}\`?`;
  return { warning: `${place}: ${unknown}, ignored as Qdrant ignores it${hint}` };
}

/** Collects the options of one source. */
export class LayerBuilder {
  readonly #settings: Setting[] = [];
  readonly #problems: Problem[] = [];
  readonly #warnings: string[] = [];

  add(path: string, value: unknown, place: string): void {
    if (optionAt(path) !== undefined) {
      this.#settings.push({ path, value, place });
      return;
    }
    const problem = checkUnknown(path, place);
    if (problem === null) return;
    if ('warning' in problem) this.#warnings.push(problem.warning);
    else this.#problems.push(problem);
  }

  warn(warning: string): void {
    this.#warnings.push(warning);
  }

  problem(place: string, message: string): void {
    this.#problems.push({ place, message });
  }

  build(): Layer {
    return { settings: this.#settings, problems: this.#problems, warnings: this.#warnings };
  }
}
