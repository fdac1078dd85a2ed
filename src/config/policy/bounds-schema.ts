import { z } from 'zod';

/*
 * The member `bounds` of a guard: a part of the declaration in `schema.ts`. Names are those of Qdrant's strict mode where it
 * has the bound.
 */

const NATURAL = 'must be a whole number from 0';

const most = (doc: string) => z.int({ error: NATURAL }).min(0, NATURAL).optional().meta({ description: doc });

const names = (what: string, doc: string) =>
  z
    .array(z.string({ error: `must be a list of ${what}` }), { error: `must be a list of ${what}` })
    .optional()
    .meta({ description: doc });

const COLLECTION_FORM = 'must be the name of a collection';

/** The member `bounds` of a guard. */
export const boundsSchema = z
  .strictObject(
    {
      keys: names('key ids', 'key ids the bounds hold for, including tokens signed with them; unset: all'),
      subjects: names(
        'texts',
        "`subject` claims the bounds hold for; '' stands for callers without one, including keys; unset: all",
      ),
      collections: z
        .array(z.string({ error: COLLECTION_FORM }).min(1, COLLECTION_FORM), { error: 'must be a list of collections' })
        .optional()
        .meta({
          description:
            'only requests on these collections, by the name in the request; a `*` at the end makes a name a prefix; unset: all',
        }),
      max_query_limit: most(
        'largest `limit` of a search, prefetch, scroll or facet; of groups and matrices the product',
      ),
      max_offset: most('largest `offset` of a search'),
      search_max_hnsw_ef: most('largest `hnsw_ef`'),
      search_max_oversampling: z
        .number({ error: 'must be a number from 1' })
        .min(1, 'must be a number from 1')
        .optional()
        .meta({ description: 'largest `oversampling`' }),
      search_max_batchsize: most('most searches in one request, prefetches included'),
      max_points: most('most points that one request writes, or names by id'),
      filter_max_conditions: most('most conditions in one filter'),
      filter_max_depth: most('most filters in each other, the outermost included'),
      search_allow_exact: z
        .boolean({ error: 'must be true or false' })
        .optional()
        .meta({ description: 'false: no exact searches, counts (exact by default) and facets' }),
    },
    { error: 'must be a section with bounds' },
  )
  .meta({ description: 'bounds on the numbers of searches and of changes of points' });

const SCOPE: readonly string[] = ['keys', 'subjects', 'collections'];

/** The members that bound something. */
export const BOUNDS = (Object.keys(boundsSchema.shape) as (keyof typeof boundsSchema.shape)[]).filter(
  (name) => !SCOPE.includes(name),
);
