import { UnreadableDer } from './der.ts';

/** Kinds of blocks: the labels that OpenSSL writes for one, and the word that all its labels have (RFC 7468). */
const KINDS = {
  certificate: {
    block: /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g,
    begin: /-----BEGIN [^\r\n]*CERTIFICATE/g,
    label: 'BEGIN CERTIFICATE',
  },
  'revocation list': {
    block: /-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----/g,
    begin: /-----BEGIN [^\r\n]*CRL/g,
    label: 'BEGIN X509 CRL',
  },
} as const;

/** The blocks of a kind in a PEM file, each as a PEM text. A block that is cut or has another label is left out. */
export function pemBlocks(pem: Buffer, kind: keyof typeof KINDS): readonly string[] {
  return pem.toString('latin1').match(KINDS[kind].block) ?? [];
}

/**
 * As `pemBlocks`, of a file that is used as a whole. Throws `UnreadableDer` for a file without one, and for a block of this kind that
 * is cut, begins within another, or has another label: what the operator meant by it would be lost.
 */
export function wholePemBlocks(pem: Buffer, kind: keyof typeof KINDS): readonly string[] {
  const { begin, label } = KINDS[kind];
  const blocks = pemBlocks(pem, kind);
  const begun = pem.toString('latin1').match(begin)?.length ?? 0;
  if (begun !== blocks.length) {
    throw new UnreadableDer(`a PEM ${kind} of it is cut, or does not begin with \`${label}\``);
  }
  if (blocks.length === 0) throw new UnreadableDer(`it contains no PEM ${kind} (\`${label}\`)`);
  return blocks;
}
