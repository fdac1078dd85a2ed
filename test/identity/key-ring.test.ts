import { timingSafeEqual } from 'node:crypto';
import t from 'tap';
import { createKeyRing, digestOf, type RingKeys } from '../../src/identity/key-ring.ts';

const ALL: RingKeys = { apiKey: 'main', altApiKey: 'alt', readOnlyApiKey: 'read', jwtRbac: true };
const match = (keys: RingKeys, credential: string) => createKeyRing(keys, 1).match(digestOf(credential));

t.same(
  match(ALL, 'main'),
  {
    kind: 'principal',
    access: { kind: 'global', mode: 'm' },
    authType: 'ApiKey',
    keyId: 'api_key',
    subject: undefined,
  },
  'the main key manages everything',
);
t.equal(
  Buffer.from(digestOf('abc'), 'latin1').toString('hex'),
  'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  'a digest is SHA-256',
);
t.match(match(ALL, 'alt'), { keyId: 'alt_api_key', access: { mode: 'm' } }, 'the alternative key manages everything');
t.match(
  match(ALL, 'read'),
  { keyId: 'read_only_api_key', access: { mode: 'r' } },
  'the read-only key reads everything',
);
t.ok(Object.isFrozen(match(ALL, 'main')), 'a principal cannot be changed');

for (const wrong of ['', 'm', 'mai', 'main ', 'mainn', 'MAIN', 'nain', 'maim', 'null', 'undefined']) {
  t.equal(match(ALL, wrong), undefined, `\`${wrong}\` is no key`);
}
t.equal(match({ apiKey: 'main', altApiKey: null }, 'null'), undefined, 'a key that is not set matches nothing');

t.equal(match({ ...ALL, altApiKey: 'main', readOnlyApiKey: 'main' }, 'main')?.keyId, 'api_key', 'api_key comes first');
t.equal(match({ ...ALL, readOnlyApiKey: 'alt' }, 'alt')?.keyId, 'alt_api_key', 'alt_api_key comes second');
t.equal(match({ apiKey: 'k' }, 'k')?.keyId, 'api_key', 'one character is a key');

for (const credential of ['main', 'alt', 'read', 'nope', '']) {
  let compared = 0;
  const counting = (left: Buffer, right: Buffer) => {
    compared += 1;
    t.equal(left.length, right.length, 'only digests of the same length are compared');
    return timingSafeEqual(left, right);
  };
  createKeyRing(ALL, 1, counting).match(digestOf(credential));
  t.equal(compared, 3, `every key is compared with \`${credential}\``);
}

for (const name of ['apiKey', 'altApiKey', 'readOnlyApiKey'] as const) {
  t.throws(() => createKeyRing({ ...ALL, [name]: '' }, 1), RangeError, `an empty ${name} is refused`);
}

const secretsOf = (keys: RingKeys) => createKeyRing(keys, 1).jwtSecrets.map(({ keyId }) => keyId);
t.same(
  secretsOf(ALL),
  ['api_key', 'alt_api_key'],
  'the admin keys are token secrets, in order; the read-only key is not',
);
t.same(secretsOf({ ...ALL, jwtRbac: false }), [], 'with JWT off there is no token secret');
t.same(secretsOf({ readOnlyApiKey: 'read', jwtRbac: true }), [], 'a read-only key alone verifies no token');

t.equal(createKeyRing(ALL, 1).match(''), undefined, 'what is no digest matches nothing');

t.equal(createKeyRing({}, 7).generation, 7, 'a ring tells its generation');
t.equal(createKeyRing({ jwtRbac: true }, 1).open, true, 'a ring without keys is open, JWT or not');
t.equal(createKeyRing({ readOnlyApiKey: 'read' }, 1).open, false, 'a read-only key alone closes the ring');
