import type { Problem } from './problem.ts';
import type { PlaceOf } from './rules.ts';
import type { Config } from './schema.ts';
import { textList } from './text-list.ts';

const FORMS =
  'an origin as browsers write it, `https://a.example.com` or `https://a.example.com:8443`, or `https://*.example.com`';
const ORIGIN =
  /^([a-z][a-z0-9+.-]*):\/\/(\*\.)?(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?::(0|[1-9][0-9]{0,4}))?$/;
const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' };

/** The reason why a text is no entry of `gateway.cors.allowed_origins`; `undefined` = it is one. */
function entryFault(entry: string): string | undefined {
  if (entry === '*') return '`*`: leave the option out to allow every origin';
  const [, scheme = '', wild, host = '', port] = ORIGIN.exec(entry) ?? [];
  if (scheme === '') return `\`${entry}\` must be ${FORMS}`;
  if (port !== undefined && (port === '0' || Number(port) > 65_535)) return `\`${entry}\` has no valid port`;
  if (port !== undefined && DEFAULT_PORTS[scheme] === port) {
    return `\`${entry}\` never matches: browsers leave out the port ${port} of ${scheme}`;
  }
  if (wild && !host.includes('.') && host !== 'localhost') {
    return `\`${entry}\` is too wide: name the domain, as in \`https://*.example.com\``;
  }
  return undefined;
}

/** Entries of `gateway.cors.allowed_origins` that are none. */
export function originProblems({ gateway }: Config, placeOf: PlaceOf): Problem[] {
  const place = placeOf('gateway.cors.allowed_origins');
  return textList(gateway.cors.allowed_origins).flatMap((entry) => {
    const message = entryFault(entry);
    return message === undefined ? [] : [{ place, message }];
  });
}

/** Warns of a list that is not used. */
export function originWarnings({ gateway, service }: Config, placeOf: PlaceOf): string[] {
  if (service.enable_cors || gateway.cors.allowed_origins === null) return [];
  return [`${placeOf('gateway.cors.allowed_origins')}: \`service.enable_cors\` is off: no origin is allowed`];
}
