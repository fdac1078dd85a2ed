import { isIP } from 'node:net';
import type { Problem } from './problem.ts';
import type { PlaceOf } from './rules.ts';
import type { Config } from './schema.ts';
import { textList } from './text-list.ts';

/** The entry of a list of addresses that stands for peers on a unix socket. */
const UNIX = 'unix:';

const FORMS = `an address, a range as \`10.0.0.0/8\`, or \`${UNIX}\` for peers on a unix socket`;

/** The reason why a text is no entry of a list of addresses and ranges; `undefined` = it is one. */
export function rangeFault(entry: string): string | undefined {
  if (entry === UNIX) return undefined;
  const [address = '', prefix, ...more] = entry.split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%') || more.length > 0) return `\`${entry}\` must be ${FORMS}`;
  if (/^::ffff:/i.test(address)) return `\`${entry}\` is an IPv4 address within IPv6: write it as an IPv4 address`;
  const most = family === 4 ? 32 : 128;
  if (prefix !== undefined && (!/^(0|[1-9][0-9]{0,2})$/.test(prefix) || Number(prefix) > most)) {
    return `\`${entry}\`: the range must be a whole number from 0 to ${most}`;
  }
  return undefined;
}

/** Entries of `gateway.trusted_proxies` that are none, and options that contradict each other. */
export function proxyProblems({ gateway }: Config, placeOf: PlaceOf): Problem[] {
  const entries = textList(gateway.trusted_proxies);
  const place = placeOf('gateway.trusted_proxies');
  const problems = entries.flatMap((entry) => {
    const message = rangeFault(entry);
    return message === undefined ? [] : [{ place, message }];
  });
  if (gateway.proxy_protocol !== 'off' && entries.length === 0) {
    const message = 'needs `gateway.trusted_proxies`: a PROXY header is read from these peers only';
    problems.push({ place: placeOf('gateway.proxy_protocol'), message });
  }
  if (gateway.audit.trusted_proxies > 0 && entries.length > 0) {
    const message = 'counts proxies, `gateway.trusted_proxies` names them: set one of the two';
    problems.push({ place: placeOf('gateway.audit.trusted_proxies'), message });
  }
  return problems;
}

/** Warns of a range that trusts every peer. */
export function proxyWarnings({ gateway }: Config, placeOf: PlaceOf): string[] {
  return textList(gateway.trusted_proxies)
    .filter((entry) => /\/0+$/.test(entry))
    .map((entry) => `${placeOf('gateway.trusted_proxies')}: \`${entry}\` lets every peer say which address it has`);
}
