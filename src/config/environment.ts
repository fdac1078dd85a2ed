import { type Layer, LayerBuilder } from './layer.ts';
import { optionAt } from './options.ts';

const OWN = 'QDRANT_GATEWAY__';
const NATIVE = 'QDRANT__';

/** Name of the variable that holds the path of the configuration file. */
export const CONFIG_FILE_VARIABLE = 'QDRANT_GATEWAY__CONFIG';

function pathOf(name: string): string | null {
  const upper = name.toUpperCase();
  if (upper === CONFIG_FILE_VARIABLE) return null;
  const own = upper.startsWith(OWN);
  if (!own && !upper.startsWith(NATIVE)) return null;
  const rest = upper.slice(own ? OWN.length : NATIVE.length).toLowerCase();
  return `${own ? 'gateway.' : ''}${rest.split('__').join('.')}`;
}

/** The value of a variable; its name is not case-sensitive. */
export function readVariable(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  const found = Object.keys(env).find((one) => one.toUpperCase() === name);
  return found === undefined ? undefined : env[found];
}

/**
 * Reads `QDRANT__*` and `QDRANT_GATEWAY__*` variables. Upstream: names are not case-sensitive and every `__` is a level
 * (Qdrant 1.19).
 */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): Layer {
  const layer = new LayerBuilder();
  const seen = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    const path = pathOf(name);
    if (path === null || value === undefined) continue;
    if (/^QDRANT__GATEWAY__/i.test(name)) {
      layer.problem(name, `options of the gateway begin with \`${OWN}\``);
      continue;
    }
    const before = seen.get(path);
    if (before !== undefined && env[before] !== value) {
      layer.problem(name, `set twice with different values, also as \`${before}\` (names are not case-sensitive)`);
      continue;
    }
    seen.set(path, name);
    const option = optionAt(path);
    // Compose files set an empty variable for "not set". An empty key gets a warning, see `settleEmptyKeys`.
    const unset = value === '' && option?.nullable === true && !option.secret;
    layer.add(path, unset ? null : value, name);
  }
  return layer.build();
}

/** The variables that a service manager hands to its services: sd_notify(3), sd_watchdog_enabled(3). */
export interface ServiceVariables {
  readonly socket: string | undefined;
  /** Microseconds, as text. */
  readonly watchdogUsec: string | undefined;
  readonly watchdogPid: string | undefined;
}

/** Reads the variables of a service manager; an empty one counts as unset. */
export function readServiceVariables(env: Readonly<Record<string, string | undefined>>): ServiceVariables {
  return {
    socket: env.NOTIFY_SOCKET || undefined,
    watchdogUsec: env.WATCHDOG_USEC || undefined,
    watchdogPid: env.WATCHDOG_PID || undefined,
  };
}
