import type { Diagram } from './draw.ts';

/** Every place where a key, a secret or a certificate's key is kept. */
export const KEYS: Diagram = {
  file: 'keys.svg',
  title: 'Where keys live',
  description:
    'Clients hold a key or a token. The gateway reads native keys, signing keys, the file of named keys (hashes only), certificates and the key of Qdrant from files. It may keep named keys and certificates in Redis, as hashes and encrypted. Qdrant sees its own key alone, and log, audit and metrics hold ids of keys, never a key.',
  size: [976, 430],
  boxes: [
    {
      at: [16, 150],
      size: [192, 104],
      kind: 'box',
      head: 'Client',
      lines: ['a key or a token, sent as', '`api-key` or `authorization`', 'over TLS'],
    },
    { at: [224, 16], size: [460, 238], kind: 'frame', head: 'Files of the gateway, for its user alone' },
    {
      at: [240, 54],
      size: [222, 92],
      kind: 'box',
      head: 'Native keys',
      lines: ['`service.api_key_file`', '`service.read_only_api_key_file`', '`service.alt_api_key_file`'],
    },
    {
      at: [470, 54],
      size: [200, 92],
      kind: 'box',
      head: 'Named keys: hashes',
      lines: ['`gateway.keys_file`', 'the text is shown once,', 'when the key is made'],
    },
    {
      at: [240, 154],
      size: [222, 84],
      kind: 'box',
      head: 'Signing keys',
      lines: ['`signing_keys`, each with a', '`secret_file`, by policy'],
    },
    {
      at: [470, 154],
      size: [200, 84],
      kind: 'box',
      head: 'Certificates',
      lines: ['`tls.key`', 'or `gateway.acme.folder`'],
    },
    {
      at: [224, 294],
      size: [460, 116],
      kind: 'core',
      head: 'Gateway',
      lines: [
        'reads changed files by itself; compares in constant time',
        'takes the credential of the caller away',
        'puts one of its own: `gateway.upstream.api_key_file`',
      ],
    },
    {
      at: [16, 306],
      size: [192, 104],
      kind: 'box',
      head: 'Log, audit, metrics',
      lines: ['ids of keys and subjects', 'never a key or a token'],
    },
    {
      at: [720, 16],
      size: [240, 112],
      kind: 'box',
      head: 'Redis, for several gateways',
      lines: ['named keys as hashes', 'certificates, encrypted with', '`gateway.acme.shared_secret_file`'],
    },
    {
      at: [720, 154],
      size: [240, 100],
      kind: 'box',
      head: 'Identity provider',
      lines: ['signs tokens; the gateway', 'fetches public keys: `issuers`'],
    },
    {
      at: [720, 306],
      size: [240, 92],
      kind: 'box',
      head: 'Qdrant',
      lines: ['no key, or one of its own;', 'keys of callers never reach it'],
    },
  ],
  arrows: [
    {
      points: '102,254 102,280 300,280 300,293',
      kind: 'way',
    },
    {
      points: '444,254 444,293',
      kind: 'way',
    },
    {
      points: '720,72 702,72 702,318 685,318',
      kind: 'way',
    },
    {
      points: '840,254 840,276 640,276 640,293',
      kind: 'way',
    },
    {
      points: '224,358 209,358',
      kind: 'way',
    },
    {
      points: '684,352 719,352',
      kind: 'way',
    },
  ],
};
