/** The origins whose pages may read answers. One value per state: it is another one after a reload that changes them. */
export interface AllowedOrigins {
  /** @param origin the value of an `Origin` header, as it came */
  readonly allows: (origin: string) => boolean;
  /** As `allows`, and false for every origin if there is no list. */
  readonly lists: (origin: string) => boolean;
}

/** Upstream: its `enable_cors` lets every origin read (Qdrant v1.18.3). */
const EVERY: AllowedOrigins = { allows: () => true, lists: () => false };

/** One label, or several of them, of a host. */
const LABELS = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

/**
 * Origins by a list: each entry is an origin as browsers write it, or has `*.` in front of its host, which stands for one label or
 * more. Compared as text, so that nothing of an origin is interpreted. An empty list lets every origin read.
 */
export function allowedOrigins(entries: readonly string[]): AllowedOrigins {
  if (entries.length === 0) return EVERY;
  const exact = new Set(entries.filter((entry) => !entry.includes('*')));
  const wild = entries.flatMap((entry) => {
    const [scheme, host] = entry.split('*', 2);
    return scheme === undefined || host === undefined ? [] : [{ scheme, host }];
  });
  const lists = (origin: string): boolean =>
    exact.has(origin) ||
    wild.some(({ scheme, host }) => {
      if (!origin.startsWith(scheme) || !origin.endsWith(host)) return false;
      return LABELS.test(origin.slice(scheme.length, origin.length - host.length));
    });
  return { allows: lists, lists };
}
