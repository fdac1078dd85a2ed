import { posix } from 'node:path';
import { parse } from 'yaml';
import { UsageError } from '../output.ts';
import { type Fields, isFields } from './fields.ts';
import type { ReadText } from './plan.ts';

/** The Qdrant of a compose project, as far as `init` has to know it. */
export interface ComposeQdrant {
  /** Name of the service. */
  readonly name: string;
  readonly image: string;
  /** Variables as they stand in the file: a value may hold `${NAME}`. `null` = taken from the shell. */
  readonly environment: ReadonlyMap<string, string | null>;
  /** Variables of its `env_file`s, as values. */
  readonly fromFiles: ReadonlyMap<string, string>;
  /** Settings of Qdrant's own configuration files that the project mounts, by dotted path. */
  readonly fromConfig: ReadonlyMap<string, string>;
  readonly ports: readonly PublishedPort[];
  /** Networks with further names of the service in them. */
  readonly networks: ReadonlyMap<string, readonly string[]>;
  /** Volumes as they stand in the file, with the folder or file in the container. */
  /** Profiles that start it; empty = always. */
  readonly profiles: readonly string[];
  /** True = it has labels, which a proxy may read. */
  readonly hasLabels: boolean;
  /** Further services with the image of Qdrant. */
  readonly others: readonly string[];
  /** True = the project has a network `INNER` of its own. */
  readonly inner: boolean;
  readonly volumes: readonly { readonly written: unknown; readonly target: string; readonly source: string }[];
}

/** A port that the host publishes. */
export interface PublishedPort {
  /** Port in the container. */
  readonly target: number;
  /** The host's side as it stands in the file: `6333`, `127.0.0.1:6333`, `${PORT}`; empty = any free port. */
  readonly host: string;
}

/** The network of Qdrant and the gateway. */
export const INNER = 'qdrant-inner';
const IMAGE = /(^|\/)qdrant(\/qdrant)?([:@]|$)/;

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : value == null ? [] : [value]);

/**
 * Finds Qdrant in a compose file. Throws `UsageError` if there is none, if there are several and `wanted` names none, or for a form
 * that cannot be put behind a gateway.
 */
export function findQdrant(file: string, text: string, wanted: string | undefined, readText: ReadText): ComposeQdrant {
  const { services, networks } = projectIn(file, text);
  const found = Object.entries(services).filter(([name, service]) =>
    wanted === undefined ? isFields(service) && IMAGE.test(String(service.image ?? '')) : name === wanted,
  );
  const [one, ...others] = found;
  if (!one || !isFields(one[1])) {
    const known = Object.keys(services).join(', ');
    throw new UsageError(
      wanted === undefined
        ? `\`${file}\`: no service has the image of Qdrant; name it with --name, one of: ${known}`
        : `\`${file}\`: there is no service \`${wanted}\`; there are: ${known}`,
    );
  }
  if (others.length > 0) {
    const names = found.map(([name]) => name).join(', ');
    throw new UsageError(`\`${file}\`: several services are Qdrant (${names}); name one with --name`);
  }
  refuseSharedNetwork(file, one[0], services);
  return {
    ...readService(file, one[0], one[1], readText),
    others: othersIn(services, one[0]),
    inner: isFields(networks) && Object.hasOwn(networks, INNER),
  };
}

function projectIn(file: string, text: string): { readonly services: Fields; readonly networks: unknown } {
  let content: unknown;
  try {
    content = parse(text, { merge: true });
  } catch (error) {
    throw new UsageError(`\`${file}\`: ${error instanceof Error ? error.message.split('\n')[0] : 'not readable'}`);
  }
  if (isFields(content) && content.include !== undefined) {
    throw new UsageError(`\`${file}\` includes other files, which are not read: name the one with Qdrant`);
  }
  const { services, networks } = isFields(content) ? content : {};
  if (!isFields(services)) throw new UsageError(`\`${file}\` is no compose file: it has no \`services\``);
  return { services, networks };
}

/** Services that reach another one's ports as their own would go around the gateway. */
function refuseSharedNetwork(file: string, name: string, services: Fields): void {
  for (const [other, service] of Object.entries(services)) {
    if (isFields(service) && service.network_mode === `service:${name}`) {
      throw new UsageError(
        `\`${file}\`: service \`${other}\` shares the network of \`${name}\` and would go around the gateway`,
      );
    }
  }
}

/** Further services with the image of Qdrant. */
function othersIn(services: Fields, name: string): readonly string[] {
  return Object.entries(services).flatMap(([other, service]) =>
    other !== name && isFields(service) && IMAGE.test(String(service.image ?? '')) ? [other] : [],
  );
}

function readService(
  file: string,
  name: string,
  service: Fields,
  readText: ReadText,
): Omit<ComposeQdrant, 'others' | 'inner'> {
  if (service.extends !== undefined) {
    throw new UsageError(`\`${file}\`: service \`${name}\` has \`extends\`, and what it extends is not read`);
  }
  if (service.network_mode !== undefined) {
    throw new UsageError(
      `\`${file}\`: service \`${name}\` has \`network_mode\`, so its ports cannot be closed; give it networks first`,
    );
  }
  const volumes = listOf(service.volumes).map((written) => ({ written, ...volumeOf(written) }));
  return {
    name,
    image: String(service.image ?? ''),
    environment: environmentOf(service.environment),
    fromFiles: envFilesOf(file, service.env_file, readText),
    fromConfig: configOf(volumes, readText),
    ports: listOf(service.ports).flatMap((port) => portsOf(file, name, port)),
    networks: networksOf(service.networks),
    volumes,
    profiles: listOf(service.profiles).map(String),
    hasLabels: service.labels !== undefined,
  };
}

function environmentOf(value: unknown): ReadonlyMap<string, string | null> {
  if (isFields(value)) {
    return new Map(Object.entries(value).map(([name, one]) => [name, one == null ? null : String(one)]));
  }
  return new Map(
    listOf(value).map((line): [string, string | null] => {
      const text = String(line);
      const at = text.indexOf('=');
      return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

function envFilesOf(file: string, value: unknown, readText: ReadText): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const one of listOf(value)) {
    const path = isFields(one) ? String(one.path) : String(one);
    const text = readText(path);
    const optional = isFields(one) && one.required === false;
    if (text === undefined && !optional) throw new UsageError(`\`${file}\`: its env_file \`${path}\` is not there`);
    for (const [name, line] of readEnvFile(text ?? '')) found.set(name, line);
  }
  return found;
}

/** The variables of a `.env` file. Quotes around a value are removed; nothing is put in for `${NAME}`. */
export function readEnvFile(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, value = ''] = /^\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined) continue;
    const [, quoted] = /^(?:"([^"]*)"|'[^']*')$/.exec(value) ?? [];
    found.set(name, quoted ?? (value.startsWith("'") ? value.slice(1, -1) : value.replace(/\s+#.*$/, '')));
  }
  return found;
}

function volumeOf(value: unknown): { readonly target: string; readonly source: string } {
  if (isFields(value)) return { target: String(value.target ?? ''), source: String(value.source ?? '') };
  const [source = '', target = ''] = String(value).split(':');
  return { target, source };
}

/** Dotted paths of the settings in Qdrant's own files, which Qdrant reads from `/qdrant/config`. */
function configOf(volumes: readonly { readonly target: string; readonly source: string }[], readText: ReadText) {
  const found = new Map<string, string>();
  for (const { target, source } of volumes) {
    const name = posix.normalize(target);
    if (!/^\/qdrant\/config(\/[\w.-]+\.ya?ml)?$/.test(name)) continue;
    const files = name.endsWith('ml')
      ? [source]
      : ['config.yaml', 'production.yaml', 'local.yaml'].map((one) => `${source}/${one}`);
    for (const path of files) {
      const text = readText(path);
      if (text !== undefined) collect(found, '', parse(text, { merge: true }));
    }
  }
  return found;
}

function collect(found: Map<string, string>, path: string, value: unknown): void {
  if (isFields(value)) {
    for (const [key, below] of Object.entries(value)) collect(found, path === '' ? key : `${path}.${key}`, below);
  } else if (value != null && !Array.isArray(value)) found.set(path, String(value));
}

function portsOf(file: string, service: string, value: unknown): readonly PublishedPort[] {
  if (isFields(value)) {
    const host = [value.host_ip, value.published].filter((part) => part != null && part !== '').join(':');
    return [{ target: Number(value.target), host }];
  }
  const text = String(value).replace(/\/tcp$/, '');
  if (text.endsWith('/udp')) return [];
  const at = text.lastIndexOf(':');
  const [inner, host] = [text.slice(at + 1), at < 0 ? '' : text.slice(0, at)];
  const [from = NaN, to = from] = inner.split('-').map(Number);
  if (!Number.isInteger(from) || !Number.isInteger(to)) {
    throw new UsageError(
      `\`${file}\`: port \`${text}\` of service \`${service}\` cannot be read; write it as host:container`,
    );
  }
  if (from === to) return [{ target: from, host }];
  const [, address = '', first = ''] = /^(.*:)?(\d+)-\d+$/.exec(host) ?? [];
  return Array.from({ length: to - from + 1 }, (_, index) => ({
    target: from + index,
    host: first === '' ? host : `${address}${Number(first) + index}`,
  }));
}

function networksOf(value: unknown): ReadonlyMap<string, readonly string[]> {
  if (value == null) return new Map([['default', []]]);
  if (!isFields(value)) return new Map(listOf(value).map((name) => [String(name), []]));
  return new Map(
    Object.entries(value).map(([name, one]) => [name, listOf(isFields(one) ? one.aliases : []).map(String)]),
  );
}
