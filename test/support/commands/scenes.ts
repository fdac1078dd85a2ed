/*
 * What is there before the commands of a document are run: files, variables and servers that its reader has.
 */

export interface Scene {
  /** By their path in the copy of the project; mode 0600. */
  readonly files?: Readonly<Record<string, string>>;
  /** Bash, run before the first block in its shell. `await PORT` waits until a port listens. */
  readonly before?: string;
}

const STAND_IN = 'node test/support/fake-qdrant/main.ts >/dev/null & await 16333; await 16334';
const CERTIFICATE = `mkdir -p tls
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \\
  -addext subjectAltName=DNS:localhost -keyout tls/key.pem -out tls/cert.pem 2>/dev/null`;

/** A configuration for commands that are asked beside a gateway. */
const SETTINGS = `export QDRANT__SERVICE__API_KEY=$(openssl rand -base64 36) QDRANT__SERVICE__JWT_RBAC=true
export QDRANT_GATEWAY__UPSTREAM__REST_URL=http://127.0.0.1:16333 QDRANT_GATEWAY__UPSTREAM__GRPC_URL=http://127.0.0.1:16334`;

/** A gateway in cleartext with an audit log, an admin port and a keys file, after a permitted and a refused request. */
const GATEWAY = `[ -n "$KEYS" ] || KEYS=$PWD/keys.yaml
${STAND_IN}
${SETTINGS}
export QDRANT__AUDIT__ENABLED=true QDRANT_GATEWAY__KEYS_FILE=$KEYS QDRANT_GATEWAY__AUDIT__HASH_CHAIN=true
export QDRANT_GATEWAY__ADMIN__PORT=9464 QDRANT_GATEWAY__ADMIN__TOKEN=$(openssl rand -base64 36)
export QDRANT_GATEWAY__REVOCATION__FILE=$PWD/revoked.yaml
TOKEN=$QDRANT_GATEWAY__ADMIN__TOKEN
echo 'keys: []' >$QDRANT_GATEWAY__KEYS_FILE; echo 'revocations: []' >revoked.yaml
qdrant-gateway serve >/dev/null 2>&1 & await 6333; await 6334; await 9464
command curl -s -o /dev/null -H "api-key: $QDRANT__SERVICE__API_KEY" http://localhost:6333/collections
ID=$(command curl -s -D - -o /dev/null http://localhost:6333/collections | tr -d '\\r' | sed -n 's/^x-request-id: //p')
qdrant-gateway token --access r --exp 1h >token.txt`;

/** By the path of the document; one that is not named here needs nothing. */
export const SCENES: Readonly<Record<string, Scene>> = {
  'README.md': { before: `${STAND_IN}\n${CERTIFICATE}` },
  'docs/guides/deploying.md': {
    before: `${STAND_IN}\n${CERTIFICATE}\n${SETTINGS}
export QDRANT_GATEWAY__KEYS_FILE=$PWD/keys.yaml QDRANT_GATEWAY__REVOCATION__FILE=$PWD/revoked.yaml
echo 'keys: []' >keys.yaml; echo 'revocations: []' >revoked.yaml
qdrant-gateway token --access r --exp 1h >token.txt`,
  },
  'docs/guides/keys.md': {
    files: { 'points.json': '{"points": [{"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]}]}\n' },
    before: `mkdir -p /etc/qdrant-gateway; KEYS=/etc/qdrant-gateway/keys.yaml\n${GATEWAY}
command curl -s -o /dev/null -H "api-key: $QDRANT__SERVICE__API_KEY" -H 'content-type: application/json' \\
  -X PUT http://localhost:6333/collections/articles -d '{"vectors": {"size": 4, "distance": "Dot"}}'
URL=http://localhost:6333`,
  },
  'docs/guides/operating.md': {
    files: {
      'gateway.yaml': 'gateway:\n  policy_file: policy.yaml\n',
      'learned-policy.yaml': 'rules: []\n',
    },
    before: `mkdir -p /run/secrets\n${GATEWAY}`,
  },
  'docs/guides/refused.md': { before: GATEWAY },
  'docs/guides/systemd.md': { before: `${CERTIFICATE}; cp tls/*.pem .` },
  'docs/reference/audit.md': {
    before: `${GATEWAY}\nHASH=$(qdrant-gateway audit head storage/audit | awk '{ print $1 }')`,
  },
};

/** Generated pages whose blocks are examples, not steps: they are checked and not run. */
export const EXAMPLES: readonly string[] = ['docs/reference/cli.md', 'docs/reference/clients.md'];
