import { FILTER, sends, T } from './made.ts';

const CORPUS = `"params":{"idf":{"corpus":{"must":[${T}]}}}`;
const UUID = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';

sends('points.query', [
  ['nothing asked', '{}', `{${FILTER}}`],
  ['a vector', '{"query":[0.10,1e2]}', `{"query":[0.10,1e2],${FILTER}}`],
  ['several vectors', '{"query":[[1,2],[3,4]]}', `{"query":[[1,2],[3,4]],${FILTER}}`],
  ['a null filter', '{"filter":null}', `{${FILTER}}`],
  ['an empty filter', '{"filter":{}}', `{${FILTER}}`],
  ['a list in must', '{"filter":{"must":[{"has_id":[1]}]}}', `{"filter":{"must":[${T},{"has_id":[1]}]}}`],
  ['one object in must', '{"filter":{"must":{"has_id":[1]}}}', `{"filter":{"must":[${T},{"has_id":[1]}]}}`],
  ['should alone', '{"filter":{"should":{"has_id":[1]}}}', `{"filter":{"should":{"has_id":[1]},"must":[${T}]}}`],
  ['must_not alone', '{"filter":{"must_not":[{}]}}', `{"filter":{"must_not":[{}],"must":[${T}]}}`],
  [
    'min_should',
    '{"filter":{"min_should":{"conditions":[{"key":"a","match":{"text":"x"}}],"min_count":1},"must":null}}',
    `{"filter":{"min_should":{"conditions":[{"key":"a","match":{"text":"x"}}],"min_count":1},"must":[${T}]}}`,
  ],
  [
    'nested conditions and filters',
    '{"filter":{"must":[{"nested":{"key":"a","filter":{"must_not":{"key":"b","is_null":true}}}},{"should":[]}]}}',
    `{"filter":{"must":[${T},{"nested":{"key":"a","filter":{"must_not":{"key":"b","is_null":true}}}},{"should":[]}]}}`,
  ],
  ['an id', '{"query":7}', `{"query":7,${FILTER}}`, ['shop: 7']],
  [
    'an id beyond doubles',
    '{"query":18446744073709551615}',
    `{"query":18446744073709551615,${FILTER}}`,
    ['shop: 18446744073709551615'],
  ],
  ['a UUID as a URN', `{"query":"urn:uuid:${UUID.toUpperCase()}"}`, `{"query":"${UUID}",${FILTER}}`, [`shop: ${UUID}`]],
  ['a UUID in braces', `{"query":"{${UUID}}"}`, `{"query":"${UUID}",${FILTER}}`, [`shop: ${UUID}`]],
  ['a bare UUID', `{"query":"${UUID.replaceAll('-', '')}"}`, `{"query":"${UUID}",${FILTER}}`, [`shop: ${UUID}`]],
  [
    'nearest to an id',
    '{"query":{"nearest":7,"mmr":{"diversity":0.5}}}',
    `{"query":{"nearest":7,"mmr":{"diversity":0.5}},${FILTER}}`,
    ['shop: 7'],
  ],
  [
    'recommend',
    '{"query":{"recommend":{"positive":[1,[0.5]],"negative":[2],"strategy":"best_score"}}}',
    `{"query":{"recommend":{"positive":[1,[0.5]],"negative":[2],"strategy":"best_score"}},${FILTER}}`,
    ['shop: 1 2'],
  ],
  [
    'discover with one pair',
    '{"query":{"discover":{"target":1,"context":{"positive":2,"negative":3}}}}',
    `{"query":{"discover":{"target":1,"context":{"positive":2,"negative":3}}},${FILTER}}`,
    ['shop: 1 2 3'],
  ],
  [
    'a context',
    '{"query":{"context":[{"positive":2,"negative":2}]}}',
    `{"query":{"context":[{"positive":2,"negative":2}]},${FILTER}}`,
    ['shop: 2'],
  ],
  [
    'feedback',
    '{"query":{"relevance_feedback":{"target":1,"feedback":[{"example":2,"score":0.5}],"strategy":{"naive":{"a":1,"b":1,"c":1}}}}}',
    `{"query":{"relevance_feedback":{"target":1,"feedback":[{"example":2,"score":0.5}],"strategy":{"naive":{"a":1,"b":1,"c":1}}}},${FILTER}}`,
    ['shop: 1 2'],
  ],
  [
    'prefetches at depth, as an object and as a list: outer ids come first',
    '{"prefetch":{"prefetch":[{"query":3,"filter":{"must":{"has_id":[9]}}}],"query":2},"query":1}',
    `{"prefetch":{"prefetch":[{"query":3,"filter":{"must":[${T},{"has_id":[9]}]}}],"query":2,${FILTER}},"query":1,${FILTER}}`,
    ['shop: 1 2 3'],
  ],
  [
    'points of another collection with a condition of its own',
    '{"query":1,"lookup_from":{"collection":"docs","vector":"v"}}',
    `{"query":1,"lookup_from":{"collection":"docs","vector":"v"},${FILTER}}`,
    ['docs: 1'],
  ],
  [
    'points of a free collection',
    '{"lookup_from":{"collection":"free"},"query":1}',
    `{"lookup_from":{"collection":"free"},"query":1,${FILTER}}`,
  ],
  ['a fusion', '{"query":{"rrf":{"k":60,"weights":[1,2]}}}', `{"query":{"rrf":{"k":60,"weights":[1,2]}},${FILTER}}`],
  [
    'a formula',
    '{"query":{"formula":{"sum":["$score",{"mult":[0.5,{"key":"a","match":{"any":["x"]}}]},{"max":[1,{"acosh":2}]}]},"defaults":{"a":1}}}',
    `{"query":{"formula":{"sum":["$score",{"mult":[0.5,{"key":"a","match":{"any":["x"]}}]},{"max":[1,{"acosh":2}]}]},"defaults":{"a":1}},${FILTER}}`,
  ],
  [
    'an order',
    '{"query":{"order_by":{"key":"price","direction":"desc"}}}',
    `{"query":{"order_by":{"key":"price","direction":"desc"}},${FILTER}}`,
  ],
  [
    'statistics of a sparse vector',
    '{"query":{"indices":[1],"values":[1]},"using":"sparse"}',
    `{"query":{"indices":[1],"values":[1]},"using":"sparse",${FILTER},${CORPUS}}`,
  ],
  [
    'statistics of a document',
    '{"query":{"text":"rare","model":"qdrant/bm25"},"using":"sparse"}',
    `{"query":{"text":"rare","model":"qdrant/bm25"},"using":"sparse",${FILTER},${CORPUS}}`,
  ],
  [
    'statistics of texts',
    '{"query":{"text":{"query":"rare"}},"using":"title"}',
    `{"query":{"text":{"query":"rare"}},"using":"title",${FILTER},${CORPUS}}`,
  ],
  [
    'statistics of an id',
    '{"query":1,"using":"sparse"}',
    `{"query":1,"using":"sparse",${FILTER},${CORPUS}}`,
    ['shop: 1'],
  ],
  [
    'the global corpus is the tenant’s',
    '{"using":"sparse","params":{"idf":"global","exact":true}}',
    `{"using":"sparse","params":{"idf":{"corpus":{"must":[${T}]}},"exact":true},${FILTER}}`,
  ],
  [
    'a corpus of the client’s',
    '{"using":"sparse","params":{"idf":{"corpus":{"should":[{"has_id":[1]}]}}}}',
    `{"using":"sparse","params":{"idf":{"corpus":{"should":[{"has_id":[1]}],"must":[${T}]}}},${FILTER}}`,
  ],
  ['other vectors have no statistics', '{"query":[1],"using":"dense"}', `{"query":[1],"using":"dense",${FILTER}}`],
  [
    'statistics in a prefetch',
    '{"prefetch":[{"using":"sparse","query":{"indices":[1],"values":[1]}}],"query":{"fusion":"dbsf"}}',
    `{"prefetch":[{"using":"sparse","query":{"indices":[1],"values":[1]},${FILTER},${CORPUS}}],"query":{"fusion":"dbsf"},${FILTER}}`,
  ],
  [
    'all plain fields',
    '{"limit":1,"offset":2,"score_threshold":0.5,"with_payload":{"include":["a"]},"with_vectors":["v"],"shard_key":["k",1]}',
    `{"limit":1,"offset":2,"score_threshold":0.5,"with_payload":{"include":["a"]},"with_vector":["v"],"shard_key":["k",1],${FILTER}}`,
  ],
  ['an escaped key', '{"l\\u0069mit":1}', `{"limit":1,${FILTER}}`],
]);

sends('points.query_batch', [
  [
    'each of them',
    '{"searches":[{"query":1},{"query":[2]}]}',
    `{"searches":[{"query":1,${FILTER}},{"query":[2],${FILTER}}]}`,
    ['shop: 1'],
  ],
  ['none', '{"searches":[]}', '{"searches":[]}'],
]);
sends('points.query_groups', [
  ['groups', '{"group_by":"a","group_size":2,"limit":3}', `{"group_by":"a","group_size":2,"limit":3,${FILTER}}`],
  [
    'records of a free collection',
    '{"group_by":"a","with_lookup":"free"}',
    `{"group_by":"a","with_lookup":"free",${FILTER}}`,
  ],
  [
    'the same as an object',
    '{"group_by":"a","with_lookup":{"collection":"free","with_vector":true}}',
    `{"group_by":"a","with_lookup":{"collection":"free","with_vectors":true},${FILTER}}`,
  ],
]);
sends('points.search', [
  ['a vector', '{"vector":[1,2],"top":3}', `{"vector":[1,2],"limit":3,${FILTER}}`],
  [
    'a named vector',
    '{"vector":{"name":"a","vector":[1]},"limit":3}',
    `{"vector":{"name":"a","vector":[1]},"limit":3,${FILTER}}`,
  ],
  [
    'a sparse vector',
    '{"vector":{"vector":{"indices":[1],"values":[2]},"name":"sparse"},"limit":3}',
    `{"vector":{"vector":{"indices":[1],"values":[2]},"name":"sparse"},"limit":3,${FILTER},${CORPUS}}`,
  ],
]);
sends('points.search_batch', [
  ['each', '{"searches":[{"vector":[1],"limit":1}]}', `{"searches":[{"vector":[1],"limit":1,${FILTER}}]}`],
]);
sends('points.search_groups', [
  [
    'groups',
    '{"vector":[1],"group_by":"a","limit":1,"group_size":1}',
    `{"vector":[1],"group_by":"a","limit":1,"group_size":1,${FILTER}}`,
  ],
]);
sends('points.search_matrix_pairs', [
  ['a matrix', '{"sample":10,"limit":2,"using":"v"}', `{"sample":10,"limit":2,"using":"v",${FILTER}}`],
]);
sends('points.search_matrix_offsets', [['a matrix', '{"filter":{"must":[]}}', `{${FILTER}}`]]);
sends('points.recommend', [
  [
    'ids',
    '{"positive":[1],"negative":["6ba7b8109dad11d180b400c04fd430c8"],"limit":1}',
    `{"positive":[1],"negative":["${UUID}"],"limit":1,${FILTER}}`,
    [`shop: 1 ${UUID}`],
  ],
  [
    'of another collection',
    '{"positive":[1],"limit":1,"lookup_from":{"collection":"docs"}}',
    `{"positive":[1],"limit":1,"lookup_from":{"collection":"docs"},${FILTER}}`,
    ['docs: 1'],
  ],
  [
    'a sparse vector',
    '{"positive":[1],"limit":1,"using":"sparse"}',
    `{"positive":[1],"limit":1,"using":"sparse",${FILTER},${CORPUS}}`,
    ['shop: 1'],
  ],
]);
sends('points.recommend_batch', [
  [
    'each',
    '{"searches":[{"positive":[1],"limit":1},{"positive":[2],"limit":1}]}',
    `{"searches":[{"positive":[1],"limit":1,${FILTER}},{"positive":[2],"limit":1,${FILTER}}]}`,
    ['shop: 1 2'],
  ],
]);
sends('points.recommend_groups', [
  [
    'groups',
    '{"positive":[1],"group_by":"a","limit":1,"group_size":1}',
    `{"positive":[1],"group_by":"a","limit":1,"group_size":1,${FILTER}}`,
    ['shop: 1'],
  ],
]);
sends('points.discover', [
  [
    'a target and a context',
    '{"target":1,"context":[{"positive":2,"negative":3}],"limit":1}',
    `{"target":1,"context":[{"positive":2,"negative":3}],"limit":1,${FILTER}}`,
    ['shop: 1 2 3'],
  ],
]);
sends('points.discover_batch', [
  ['each', '{"searches":[{"target":[1],"limit":1}]}', `{"searches":[{"target":[1],"limit":1,${FILTER}}]}`],
]);
sends('points.scroll', [
  [
    'a page',
    '{"offset":7,"limit":2,"order_by":"price","with_payload":["a"]}',
    `{"offset":7,"limit":2,"order_by":"price","with_payload":["a"],${FILTER}}`,
  ],
]);
sends('points.count', [['an estimate becomes exact', '{"exact":false}', `{"exact":true,${FILTER}}`]]);
sends('points.facet', [
  ['an estimate becomes exact', '{"key":"color","limit":3}', `{"key":"color","limit":3,${FILTER},"exact":true}`],
]);
