import t from 'tap';
import { formOf, MINTING_SECRET, readAnswer } from '../support/minting.ts';
import { namedKey } from '../support/named-keys.ts';
import type { SentRequest } from '../support/transports/request.ts';
import { openTransports, type Transport, type Transports } from '../support/transports/transports.ts';

/* Limits of the token endpoint of the REST port, on each transport and across them. */

const KEYS = { one: 'qgw_one_secret', two: 'qgw_two_secret' };
const PER_MINUTE = 3;

async function open(): Promise<Transports> {
  return await openTransports({
    namedKeys: Object.entries(KEYS).map(([id, secret]) =>
      namedKey(id, secret, { access: [{ collection: 'docs', access: 'r' as const }] }),
    ),
    policy: {
      signingKeys: [{ id: 'minting', secret: MINTING_SECRET, exchange: true }],
      tokenExchange: { lifetime: 300, perMinute: PER_MINUTE, restPort: true, keys: [] },
    },
  });
}

const request = (credential: string): SentRequest => ({
  ...{ method: 'POST', target: '/-/token', headers: [['content-type', 'application/x-www-form-urlencoded']] },
  body: Buffer.from(formOf({ subject_token: credential })),
});
const exchange = async (transport: Transport, credential: string) => {
  const { status, headers, body } = await transport.send(request(credential));
  const { error } = readAnswer({ status, headers: headers.flat(), body: body.toString() });
  const after = headers.find(([name]) => name === 'retry-after')?.[1];
  return { status, error, after: after !== undefined && Number(after) > 0 && Number(after) <= 60 };
};
const MINTED = { status: 200, error: undefined, after: false };
const LIMITED = { status: 429, error: 'temporarily_unavailable', after: true };
/** The transports of one process: they have one count. */
const PROCESSES = [
  ['HTTP/1.1 relay', 'HTTP/2 plain'],
  ['HTTP/1.1 server', 'HTTP/2 server'],
] as const;

t.test(
  'a credential has its tokens per minute, whatever transports it asks on, and wrong ones take none',
  async (t) => {
    const { all, close } = await open();
    t.teardown(close);
    for (const names of PROCESSES) {
      const lanes = names.map((name) => all.find((one) => one.name === name));
      const asked = async (at: number, credential: string) => {
        const transport = lanes[at % lanes.length];
        if (!transport) throw new TypeError('no such transport');
        return await exchange(transport, credential);
      };
      for (let at = 0; at < 6; at += 1) t.match(await asked(at, 'wrong'), { status: 400, error: 'invalid_request' });
      for (let at = 0; at < PER_MINUTE; at += 1) t.same(await asked(at, KEYS.one), MINTED, `${names}, number ${at}`);
      for (let at = 0; at < 4; at += 1)
        t.same(await asked(at, KEYS.one), LIMITED, `${names}, one more on ${names[at % 2]}`);
      for (let at = 0; at < 2; at += 1) t.same(await asked(at, KEYS.two), MINTED, 'another credential has its own');
    }
  },
);

t.test('guesses at the endpoint keep no good credential from its token, on any transport', async (t) => {
  const { all, close } = await open();
  t.teardown(close);
  for (const transport of all) {
    for (let guess = 0; guess < 60; guess += 1) {
      const met = await exchange(transport, `wrong-${guess}`);
      t.match(met, { status: 400, error: 'invalid_request' }, `${transport.name}, guess ${guess}`);
    }
    const key = transport.name.startsWith('HTTP/1.1') ? KEYS.one : KEYS.two;
    const [good, wrong] = await Promise.all([exchange(transport, key), exchange(transport, 'wrong')]);
    t.same(good, MINTED, `${transport.name}, beside another guess`);
    t.equal(wrong?.status, 400);
  }
});
