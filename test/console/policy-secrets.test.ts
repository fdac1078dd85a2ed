import t from 'tap';
import { parse } from 'yaml';
import { withoutSecrets, withSecrets } from '../../src/console/server/questions/policy-secrets.ts';

/* The text of the policy file on the page: without its secrets, and with them again when it is written. */

const SECRET = 'a-secret-of-32-bytes-0123456789ab';

const BOMB = Array.from({ length: 9 }, (_, at) => {
  const inner = at === 0 ? 'x' : `*a${at - 1}`;
  return `a${at}: &a${at} [${Array(9).fill(inner).join(', ')}]\n`;
}).join('');

t.test('secrets are kept back, and come back where they stood', async (t) => {
  for (const [sentence, text] of [
    ['a plain one', `signing_keys:\n  - id: a\n    secret: ${SECRET}\nrules: []\n`],
    ['in quotes', `signing_keys: [{ id: a, secret: "${SECRET}" }, { id: b, secret: '${SECRET}2' }] # end\n`],
    ['as JSON', JSON.stringify({ signing_keys: [{ id: 'a', secret: SECRET }] })],
    ['a block', `signing_keys:\n  - id: a\n    secret: >-\n      ${SECRET}\n  - id: b\n    secret_file: b.key\n`],
    ['under a quoted name', `signing_keys:\n  - id: a\n    "secret": ${SECRET}\n`],
    ['with an escape', `signing_keys:\n  - id: a\n    secret: "\\x61-secret-of-32-bytes-0123456789ab"\n`],
  ] as const) {
    const masked = withoutSecrets(text);
    t.ok(masked, sentence);
    t.notMatch(masked?.text ?? SECRET, /secret-of-32/, sentence);
    t.match(masked?.text, /<kept secret 1>/, sentence);
    const back = withSecrets(masked?.text ?? '', masked?.kept ?? []);
    t.strictSame('text' in back && parse(back.text), parse(text), `${sentence}: as it was`);
  }
  t.strictSame(withoutSecrets('rules: []\n'), { text: 'rules: []\n', kept: [] }, 'none');
});

t.test('a text whose secrets cannot be kept back is not shown', async (t) => {
  for (const [sentence, text] of [
    ['an alias', `x: &s ${SECRET}\nsigning_keys: [{ id: a, secret: *s }]\n`],
    ['an anchor', `signing_keys: [{ id: a, secret: &s ${SECRET} }, { id: *s }]\n`],
    ['a map that is merged elsewhere', `signing_keys: [&k { id: a, secret: ${SECRET} }, { <<: *k, id: b }]\n`],
    ['a map for a secret', `signing_keys: [{ id: a, secret: { value: ${SECRET} } }]\n`],
    ['the same text in a comment', `# ${SECRET}\nsigning_keys: [{ id: a, secret: ${SECRET} }]\n`],
    ['the same text as an id', `signing_keys: [{ id: ${SECRET}, secret: ${SECRET} }]\n`],
    [
      'a second document',
      `signing_keys: [{ id: a, secret: ${SECRET} }]\n---\nsigning_keys: [{ id: b, secret: other }]\n`,
    ],
    ['an alias as the name of the member', `signing_keys:\n  - id: &k secret\n    *k : ${SECRET}\n`],
    ['an alias in a circle', `x: &x [*x]\nsigning_keys: [{ id: a, secret: ${SECRET} }]\n`],
    ['aliases of aliases', `${BOMB}signing_keys: [{ id: a, secret: ${SECRET} }]\n`],
    ['no YAML', `signing_keys: [{ id: a, secret: ${SECRET} }\n`],
  ] as const) {
    t.equal(withoutSecrets(text), undefined, sentence);
  }
});

t.test('a place is filled in no member but the secret of a key that signs', async (t) => {
  const kept = [SECRET];
  const place = '"<kept secret 1>"';
  const key = `signing_keys: [{ id: a, secret: ${place} }]\n`;
  for (const [filled, sentence, draft] of [
    [1, 'a claim of an example', `issuers: [{ examples: [{ claims: { secret: ${place} } }] }]\n${key}`],
    [1, 'a claim of a certificate', `client_certificates: { examples: [{ claims: { secret: ${place} } }] }\n${key}`],
    [1, 'a member of the root', `secret: ${place}\n${key}`],
    [1, 'the list within another member', `x: { signing_keys: [{ secret: ${place} }] }\n${key}`],
    [1, 'a member within a key', `signing_keys: [{ id: a, secret: ${place}, x: { secret: ${place} } }]\n`],
    [1, 'a list within the list', `signing_keys: [[{ secret: ${place} }], { id: a, secret: ${place} }]\n`],
    [0, 'a merge', `<<: { signing_keys: [{ secret: ${place} }] }\nrules: []\n`],
    [0, 'a part of a text', `signing_keys: [{ id: a, secret: "x <kept secret 1>" }]\n`],
    [0, 'the name of a member', `signing_keys: [{ id: a, ${place}: b }]\n`],
  ] as const) {
    const made = withSecrets(draft, kept);
    t.equal('text' in made ? made.text.split(SECRET).length - 1 : 0, filled, sentence);
  }
  for (const [sentence, draft] of [
    ['the list', `signing_keys: &s [{ id: a, secret: ${place} }]\nissuers: [{ examples: [{ claims: { x: *s } }] }]\n`],
    ['a key', `signing_keys: [&s { id: a, secret: ${place} }]\nissuers: [{ examples: [{ claims: { x: *s } }] }]\n`],
    [
      'the secret',
      `signing_keys: [{ id: a, secret: &s ${place} }]\nissuers: [{ examples: [{ claims: { x: *s } }] }]\n`,
    ],
    ['the root', `&s\nsigning_keys: [{ id: a, secret: ${place} }]\n`],
    ['an alias for the list', `x: &s [{ id: a, secret: ${place} }]\nsigning_keys: *s\n`],
    ['an alias for a key', `x: &s { id: a, secret: ${place} }\nsigning_keys: [*s]\n`],
  ] as const) {
    t.match(withSecrets(draft, kept), { problem: /by an anchor or an alias/ }, `${sentence} has an anchor`);
  }
});

t.test('a secret is put back in any form of its new place', async (t) => {
  for (const source of [
    'ab, cd] } # 7',
    '|-\n      one\n      two',
    "'it''s'",
    '"\\x61b"',
    '>-\n      folded\n      text',
  ]) {
    const masked = withoutSecrets(`signing_keys:\n  - id: a\n    secret: ${source}\n`);
    if (!masked) throw new TypeError(source);
    const [value] = masked.kept;
    for (const draft of [
      'signing_keys: [{ id: a, secret: "<kept secret 1>" }, { id: b, secret: "<kept secret 1>" }]\n',
      'signing_keys:\n- secret: "<kept secret 1>"\n  id: a\n- {id: b, "secret": \'<kept secret 1>\'}\n',
    ]) {
      const made = withSecrets(draft, masked.kept);
      const read = 'text' in made ? parse(made.text) : made;
      t.match(
        read,
        {
          signing_keys: [
            { id: 'a', secret: value },
            { id: 'b', secret: value },
          ],
        },
        source,
      );
    }
  }
});

t.test('a place is filled where a secret stands, and nowhere else', async (t) => {
  const kept = [SECRET];
  const elsewhere = 'rules: [{ id: "<kept secret 1>" }]\nsigning_keys: [{ id: a, secret: "<kept secret 1>" }]\n';
  t.strictSame(withSecrets(elsewhere, kept), {
    text: `rules: [{ id: "<kept secret 1>" }]\nsigning_keys: [{ id: a, secret: "${SECRET}" }]\n`,
  });
  t.match(withSecrets('signing_keys: [{ id: a, secret: "<kept secret 2>" }]\n', kept), { problem: /has no secret 2/ });
  t.match(withSecrets('a: &x "<kept secret 1>"\nsigning_keys: [{ secret: *x }]\n', kept), { problem: /no YAML/ });
  t.match(withSecrets('signing_keys: [{ secret: "<kept secret 1>" \n', kept), { problem: /no YAML/ });
  t.strictSame(withSecrets('rules: [', kept), { text: 'rules: [' }, 'a draft without a place is checked as it is');
  t.strictSame(withSecrets(`signing_keys: [{ id: a, secret: new-${SECRET} }]\n`, kept), {
    text: `signing_keys: [{ id: a, secret: new-${SECRET} }]\n`,
  });
});
