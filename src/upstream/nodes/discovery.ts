import { lookup, Resolver } from 'node:dns/promises';

/** The nodes of a name, as DNS gives them. */
export interface FoundNode {
  /** Address or host name, without brackets. */
  readonly host: string;
  readonly restPort: number;
  /** 1 to 100. */
  readonly weight: number;
}

/** A question to DNS. */
export interface DnsQuestion {
  readonly name: string;
  /** SRV records in place of addresses. */
  readonly srv: boolean;
  readonly restPort: number;
  /** `host:port` of the server to ask; null = those of the machine. */
  readonly server: string | null;
}

/** Time limit of one try, in milliseconds. */
const TRY_MS = 1_000;
/** Codes of an answer without records of a kind. */
const NONE = new Set(['ENODATA', 'ENOTFOUND']);

/**
 * Resolves a name to nodes, sorted. Rejects when DNS does not answer or knows no node.
 *
 * Addresses are asked for as every program of the machine does (hosts file, search domains); SRV records and a server of
 * one's own need the full name.
 */
export async function discoverNodes({ name, srv, restPort, server }: DnsQuestion): Promise<readonly FoundNode[]> {
  const found = srv
    ? await servicesOf(name, resolverOf(server))
    : (await addressesOf(name, server)).map((host) => ({ host, restPort, weight: 1 }));
  if (found.length === 0) throw new Error(`\`${name}\` has no ${srv ? 'SRV records' : 'addresses'}`);
  return found.toSorted((one, other) => keyOf(one).localeCompare(keyOf(other)));
}

function keyOf({ host, restPort }: FoundNode): string {
  return `${host} ${restPort}`;
}

function resolverOf(server: string | null): Resolver {
  const resolver = new Resolver({ timeout: TRY_MS, tries: 2 });
  if (server !== null) resolver.setServers([server]);
  return resolver;
}

async function servicesOf(name: string, resolver: Resolver): Promise<readonly FoundNode[]> {
  const records = await resolver.resolveSrv(name);
  // Only the first priority in force: the others are spares.
  const first = Math.min(...records.map(({ priority }) => priority));
  return records
    .filter(({ priority }) => priority === first)
    .map(({ name: host, port, weight }) => ({
      host: host.replace(/\.$/, ''),
      restPort: port,
      weight: Math.min(100, Math.max(1, weight)),
    }));
}

async function addressesOf(name: string, server: string | null): Promise<readonly string[]> {
  if (server === null) return [...new Set((await lookup(name, { all: true })).map(({ address }) => address))];
  const resolver = resolverOf(server);
  const [four, six] = await Promise.all([orNone(() => resolver.resolve4(name)), orNone(() => resolver.resolve6(name))]);
  return [...new Set([...four, ...six])];
}

async function orNone(ask: () => Promise<string[]>): Promise<string[]> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Error && 'code' in error && NONE.has(String(error.code))) return [];
    throw error;
  }
}
