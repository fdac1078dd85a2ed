import { join } from 'node:path';
import { z } from 'zod';
import { choice, flag, optionalText, optionalWhole, PORT, text, texts, whole } from '../option-kinds.ts';
import { listText, textList } from '../text-list.ts';

/* Certificates that the gateway gets by itself: from a certificate authority, or from a development CA of its own. */

/** Directories of Let's Encrypt. */
const PRODUCTION = 'https://acme-v02.api.letsencrypt.org/directory';
const STAGING = 'https://acme-staging-v02.api.letsencrypt.org/directory';

/** The address of a directory: https only, RFC 8555 section 6.1. */
const DIRECTORY = /^https:\/\/(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+)(:\d{1,5})?(\/[\w./~%-]*)?$/;

/** `gateway.acme`. */
export const acme = z.strictObject({
  domains: texts(
    'host names',
    'host names for which a certificate is got by ACME (RFC 8555) and used on both ports, in place of `tls.cert` and `tls.key`; turns TLS on; unset: off',
  ),
  agree_tos: flag(false, 'agree to the terms of service of the certificate authority; required'),
  email: optionalText('address that the certificate authority may write to'),
  directory: z.string().regex(DIRECTORY).nullable().default(null).meta({
    description: "address of the certificate authority; unset: Let's Encrypt",
    'x-allowed': 'https://host/path',
  }),
  staging: flag(false, "use the staging directory of Let's Encrypt, whose certificates no client trusts"),
  directory_ca: optionalText('CA to trust for the directory, PEM; unset: the CAs of the runtime'),
  folder: text('./acme', 'folder of the account key and the certificate; several gateways may share it'),
  challenge: choice(
    ['tls-alpn-01', 'http-01'],
    'tls-alpn-01',
    'proof of a host name: tls-alpn-01 on the REST port, which port 443 must reach; http-01 on `gateway.acme.http_port`, which port 80 must reach',
  ),
  http_host: text('0.0.0.0', 'address of the port for http-01'),
  http_port: whole(PORT, 8080, 'port for http-01; 0: any free port; it answers nothing else'),
  eab_key_id: optionalText('key id of the external account binding, if the certificate authority requires one'),
  eab_hmac_file: optionalText('file with the HMAC key of the external account binding, base64url'),
  profile: optionalText('certificate profile of the certificate authority; unset: its default'),
  shared_secret_file: optionalText(
    'file with a secret of at least 32 bytes, the same for all gateways, that encrypts what `gateway.shared.certificates` keeps in Redis',
  ),
});

/** `gateway.certs`. */
export const certs = choice(
  ['files', 'dev'],
  'files',
  'source of the certificate: files reads `tls.cert` and `tls.key`; dev makes a CA and a certificate of its own, for development, and turns TLS on',
);

/** `gateway.dev_certs`. */
export const devCerts = z.strictObject({
  folder: text('./certs/dev', 'folder of the development CA and its certificate'),
  names: texts('host names and addresses', 'names in the certificate beside localhost, 127.0.0.1 and ::1'),
  days: optionalWhole([1, 365], 'lifetime of the certificate; unset: 30'),
});

/** The file of certificate and key within `gateway.acme.folder`. */
export const ACME_CERTIFICATE = 'certificate.pem';

interface Sources {
  readonly certs: z.output<typeof certs>;
  readonly acme: z.output<typeof acme>;
  readonly dev_certs: z.output<typeof devCerts>;
}

/**
 * Files of certificate and key that the gateway writes itself; `undefined` = they are the operator's. Everything that reads
 * certificates reads them from `tls.cert` and `tls.key`, wherever they come from.
 */
export function ownFiles({
  certs: source,
  acme: issued,
  dev_certs: dev,
}: Sources): { cert: string; key: string } | undefined {
  // One file, replaced as a whole: a certificate is never read with the key of another.
  const bundle = join(issued.folder, ACME_CERTIFICATE);
  if (textList(listText(issued.domains)).length > 0) return { cert: bundle, key: bundle };
  if (source === 'dev') return { cert: join(dev.folder, 'cert.pem'), key: join(dev.folder, 'key.pem') };
  return undefined;
}

/** Both sections, settled. */
export function settleCertificates({ acme: issued, dev_certs: dev }: Sources) {
  return {
    acme: {
      ...issued,
      domains: listText(issued.domains),
      directory: issued.directory ?? (issued.staging ? STAGING : PRODUCTION),
    },
    dev_certs: { ...dev, names: listText(dev.names), days: dev.days ?? 30 },
  };
}

/** True = the certificate is got by ACME. */
export function usesAcme({
  gateway,
}: {
  readonly gateway: { readonly acme: { readonly domains: string | null } };
}): boolean {
  return textList(gateway.acme.domains).length > 0;
}
