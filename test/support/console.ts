import { type AdminAnswer, type AdminRequest, askAdmin } from './admin-gateway.ts';

/** A browser's side of the console: it keeps cookies, and sends what the pages send. */
export interface ConsoleClient {
  /** The cookie line that is sent; empty = none. */
  cookie: string;
  /** One data request, as the pages send it. @param path below `/-/console/` */
  readonly get: (path: string, headers?: Readonly<Record<string, string>>) => Promise<ConsoleReply>;
  readonly post: (path: string, body: object, headers?: Readonly<Record<string, string>>) => Promise<ConsoleReply>;
  /** Signs in. The status of the answer. */
  readonly login: (key: string) => Promise<number>;
}

export interface ConsoleReply extends AdminAnswer {
  /** The body as JSON; undefined = it is none. */
  readonly json: unknown;
}

/** A client of the console of an admin port. */
export function consoleClient(port: number, ca?: Buffer): ConsoleClient {
  const scheme = ca ? 'https' : 'http';
  const origin = `${scheme}://localhost:${port}`;
  const client: ConsoleClient = {
    cookie: '',
    get: (path, headers = {}) => send(path, { headers: { ...own(), ...headers } }),
    post: (path, body, headers = {}) =>
      send(path, {
        method: 'POST',
        headers: { ...own(), 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    login: async (key) => (await client.post('api/login', { key })).status,
  };
  const own = (): Record<string, string> => ({
    ...{ host: `localhost:${port}`, origin, 'x-qdrant-console': '1', 'sec-fetch-site': 'same-origin' },
    ...(client.cookie === '' ? {} : { cookie: client.cookie }),
  });
  const send = async (path: string, request: AdminRequest): Promise<ConsoleReply> => {
    const answer = await askAdmin(port, `/-/console/${path}`, { ...request, ...(ca && { ca }) });
    for (const line of cookieLines(answer)) {
      const [pair = ''] = line.split(';', 1);
      if (!/Max-Age=0\b/.test(line)) client.cookie = pair;
      else if (client.cookie.startsWith(`${pair.split('=', 1)[0]}=`)) client.cookie = '';
    }
    return { ...answer, json: parsed(answer.text) };
  };
  return client;
}

/** The lines that set cookies. */
export function cookieLines({ headers }: Pick<AdminAnswer, 'headers'>): readonly string[] {
  return [headers['set-cookie'] ?? []].flat();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
