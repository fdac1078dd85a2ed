import { authorityOf, parseUpstreamUrl, type UpstreamAddress } from '../upstream-url.ts';

/** One entry of `gateway.upstream.nodes`. */
export interface NodeEntry {
  readonly rest: UpstreamAddress;
  /** Null = not given: gRPC has to be off. */
  readonly grpc: UpstreamAddress | null;
  /** 1 to 100. */
  readonly weight: number;
}

/** Names of an entry's fields, in the order of the text. */
export const NODE_FIELDS = ['rest_url', 'grpc_url', 'weight'] as const;

/** The text form, for documents and messages. */
export const NODE_LIST_FORM =
  'a list of entries with `rest_url`, `grpc_url` and `weight`, or as text `rest_url=http://host:port grpc_url=http://host:port weight=1, rest_url=...`';

/** The name of a node, as operators see it: host and port of its REST address, or the path of its socket. */
export function nodeName(address: UpstreamAddress): string {
  return 'path' in address ? `unix:${address.path}` : authorityOf(address);
}

/** The text form of a list. */
export function nodeListText(entries: readonly Readonly<Record<string, unknown>>[]): string {
  const fieldsOf = (entry: Readonly<Record<string, unknown>>): string[] =>
    NODE_FIELDS.flatMap((name) => (entry[name] === undefined ? [] : [`${name}=${String(entry[name])}`]));
  return entries.map((entry) => fieldsOf(entry).join(' ')).join(', ');
}

/** Reads the text form of the list. Never throws; `problems` name the entry by its number. */
export function parseNodeList(text: string): {
  readonly nodes: readonly NodeEntry[];
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  const nodes = text.split(/,\s*(?=rest_url=|grpc_url=|weight=)/).flatMap((entry, at) => {
    const read = parseEntry(entry.trim());
    if (typeof read !== 'string') return [read];
    problems.push(`node ${at + 1}: ${read}`);
    return [];
  });
  const names = nodes.map(({ rest }) => nodeName(rest));
  for (const name of new Set(names.filter((one, at) => names.indexOf(one) !== at))) {
    problems.push(`the node \`${name}\` is listed more than once`);
  }
  return { nodes, problems };
}

function parseEntry(entry: string): NodeEntry | string {
  const fields = new Map<string, string>();
  for (const part of entry.split(/\s+/)) {
    const at = part.indexOf('=');
    const name = part.slice(0, Math.max(at, 0));
    if (!NODE_FIELDS.some((one) => one === name)) return `must be \`rest_url=http://host:port\` and so on, ${known()}`;
    if (fields.has(name)) return `\`${name}\` is given twice`;
    fields.set(name, part.slice(at + 1));
  }
  const rest = parseUpstreamUrl(fields.get('rest_url') ?? '');
  if (!rest) return '`rest_url` must be http://host:port, https://host:port or unix:/path';
  const grpcUrl = fields.get('grpc_url');
  const grpc = grpcUrl === undefined ? null : parseUpstreamUrl(grpcUrl);
  if (grpcUrl !== undefined && !grpc) return '`grpc_url` must be http://host:port, https://host:port or unix:/path';
  const weight = fields.get('weight') ?? '1';
  if (!/^([1-9][0-9]?|100)$/.test(weight)) return '`weight` must be a whole number from 1 to 100';
  return { rest, grpc, weight: Number(weight) };
}

function known(): string {
  return `with the fields ${NODE_FIELDS.map((one) => `\`${one}\``).join(', ')}`;
}
