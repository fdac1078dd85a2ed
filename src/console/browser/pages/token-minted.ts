import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Minted as Data, TokenOptions } from '../../api/tokens.ts';
import { codeBlock } from '../view/buttons.ts';
import { el, use } from '../view/dom.ts';
import { badge, card, notice } from '../view/parts.ts';
import { tabs } from '../view/tabs.ts';
import { away } from '../view/times.ts';
import { RevokeToken } from './token-revoke.ts';

export interface MintedProps {
  readonly minted: Data;
  readonly options: TokenOptions;
  readonly earlier: readonly Data[];
}

/** A new token, with all that is needed to use it at once. */
export function Minted({ minted, options, earlier }: MintedProps): VNode {
  const [language, setLanguage] = useState('curl');
  const { token, accepted, verdict, expires_at: end, warnings, id } = minted;
  const rest = options.listeners.find(({ protocol }) => protocol === 'rest');
  const grpc = options.listeners.find(({ protocol }) => protocol === 'grpc');
  const url = `${rest?.tls ? 'https' : 'http'}://${location.hostname}:${rest?.port ?? 6333}`;
  const collection = firstCollection(minted.claims);
  const snippets = snippetsFor({ url, token, collection, grpcPort: grpc?.port });
  return el(
    'div',
    { class: 'stack' },
    card(
      undefined,
      el(
        'div',
        { class: 'stack' },
        el(
          'div',
          { class: 'row between' },
          el('h2', null, 'Your new token'),
          badge(end === null ? 'warn' : 'good', end === null ? 'never ends' : `ends ${away(end)}`),
        ),
        !accepted && notice('warn', `This gateway would not accept it: ${verdict}`),
        warnings.map((one) => notice('warn', one)),
        codeBlock(token, 'the token'),
        el('p', { class: 'hint' }, 'Copy it now: it is shown once and kept nowhere.'),
        use(RevokeToken, { id }),
      ),
    ),
    card(
      'Use it',
      tabs(
        'Languages',
        language,
        Object.keys(snippets).map((name) => [name, name] as const),
        setLanguage,
      ),
      codeBlock(snippets[language] ?? '', 'the command'),
      el(
        'p',
        { class: 'hint after' },
        'Each request with it appears on the page ',
        el('a', { href: '#/audit' }, 'Audit'),
        ' within seconds.',
      ),
    ),
    earlier.length > 0 &&
      card(
        'Made before on this page',
        el(
          'ul',
          { class: 'plain-list' },
          earlier.map((one) => el('li', { key: one.id }, el('code', null, one.id), use(RevokeToken, { id: one.id }))),
        ),
      ),
  );
}

function firstCollection(claims: object): string | undefined {
  const { access } = claims as { access?: unknown };
  const [first] = Array.isArray(access) ? (access as { collection?: unknown }[]) : [];
  const name = first?.collection;
  return typeof name === 'string' && !name.endsWith('*') ? name : undefined;
}

interface Used {
  readonly url: string;
  readonly token: string;
  readonly collection: string | undefined;
  readonly grpcPort: number | undefined;
}

function snippetsFor({ url, token, collection, grpcPort }: Used): Readonly<Record<string, string>> {
  const path = collection === undefined ? '/collections' : `/collections/${encodeURIComponent(collection)}`;
  const call = collection === undefined ? 'get_collections()' : `get_collection(${JSON.stringify(collection)})`;
  const jsCall = collection === undefined ? 'getCollections()' : `getCollection(${JSON.stringify(collection)})`;
  return {
    curl: `curl ${shell(`${url}${path}`)} \\\n  -H ${shell(`api-key: ${token}`)}`,
    Python: `from qdrant_client import QdrantClient\n\nclient = QdrantClient(${JSON.stringify(url)}, api_key=${JSON.stringify(token)}${grpcPort === undefined ? '' : `, grpc_port=${grpcPort}`})\nprint(client.${call})`,
    JavaScript: `import { QdrantClient } from '@qdrant/js-client-rest';\n\nconst client = new QdrantClient({\n  url: ${JSON.stringify(url)},\n  apiKey: ${JSON.stringify(token)},\n});\nconsole.log(await client.${jsCall});`,
    gRPC:
      grpcPort === undefined
        ? 'gRPC is off on this gateway.'
        : `grpcurl ${url.startsWith('https') ? '' : '-plaintext '}\\\n  -H ${shell(`api-key: ${token}`)} \\\n  -import-path . -proto qdrant.proto \\\n  ${shell(`${location.hostname}:${grpcPort}`)} qdrant.Collections/List`,
  };
}

/** A word of a shell, whatever is in it. */
function shell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
