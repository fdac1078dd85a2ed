/**
 * TLS settings of both listeners: Mozilla's "intermediate" profile, version 5.7 (TLS 1.2 and 1.3, forward secrecy and AEAD
 * only). Fields as `node:tls` names them.
 */
export const TLS_PROFILE = Object.freeze({
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  // The hybrid group first: recorded traffic stays confidential against later quantum computers.
  ecdhCurve: 'X25519MLKEM768:X25519:prime256v1:secp384r1',
} as const);
