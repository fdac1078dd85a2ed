import { z } from 'zod';
import { NODE_FIELDS, NODE_LIST_FORM } from './upstream/node-list.ts';
import { parseUpstreamUrl, UNIX_ADDRESS, UPSTREAM_URL } from './upstream-url.ts';

/* The kinds of options that `schema.ts` declares, each with its line of documentation and its default. */

export const DAY_MS = 86_400_000;
export const MIB = 1_048_576;

export const PORT = [0, 65_535] as const;
export const MILLISECONDS = [1, DAY_MS] as const;
export const SECONDS = [1, 86_400] as const;

/** An option that is on or off. */
export const flag = (fallback: boolean, doc: string) => z.boolean().default(fallback).meta({ description: doc });

/** The same; null = unset. */
export const optionalFlag = (doc: string) => z.boolean().nullable().default(null).meta({ description: doc });

/** A whole number within a range, both ends included. */
export const whole = (range: readonly [min: number, max: number], fallback: number, doc: string) =>
  z.int().min(range[0]).max(range[1]).default(fallback).meta({ description: doc });

/** The same; null = unset. */
export const optionalWhole = (range: readonly [min: number, max: number], doc: string) =>
  z.int().min(range[0]).max(range[1]).nullable().default(null).meta({ description: doc });

/** A text that is not empty. */
export const text = (fallback: string, doc: string) => z.string().min(1).default(fallback).meta({ description: doc });

/** The same; null = unset. */
export const optionalText = (doc: string) => z.string().min(1).nullable().default(null).meta({ description: doc });

/** A text that is kept out of outputs; null = unset. */
export const key = (doc: string) =>
  z.string().min(1).nullable().default(null).meta({ description: doc, 'x-secret': true });

/** Marks an option that a reload applies; others need a restart. */
export const live = <T extends z.ZodType>(option: T): T => option.meta({ ...option.meta(), 'x-live': true });

/** One of some words. */
export const choice = <const T extends readonly [string, ...string[]]>(allowed: T, fallback: T[number], doc: string) =>
  z.enum(allowed).default(fallback).meta({ description: doc });

/** The address of an upstream; null = unset. */
export const upstreamUrl = (doc: string) =>
  z
    .string()
    .regex(UPSTREAM_URL)
    .refine((url) => parseUpstreamUrl(url) !== null)
    .nullable()
    .default(null)
    .meta({ description: doc, 'x-allowed': 'http://host:port, https://host:port or unix:/path' });

/**
 * Texts, as a list or as one text with commas between them (`textList` reads it); null = none.
 *
 * @param allowed an entry in words
 */
export const texts = (allowed: string, doc: string) =>
  z
    .union([z.string().min(1), z.array(z.string().regex(/^[^,]+$/))])
    .nullable()
    .default(null)
    .meta({ description: doc, 'x-allowed': `a list of ${allowed}`, 'x-list': true });

/** The nodes of an upstream, as text or as a list, which becomes text when a file is read; null = unset. */
export const nodeList = (doc: string) =>
  z
    .union([
      z.string().min(1),
      z
        .array(z.strictObject({ rest_url: z.string(), grpc_url: z.string().optional(), weight: z.int().optional() }))
        .min(1),
    ])
    .nullable()
    .default(null)
    .meta({ description: doc, 'x-allowed': NODE_LIST_FORM, 'x-fields': [...NODE_FIELDS] });

/** The unix socket of a listener; null = unset. */
export const unixAddress = (doc: string) =>
  z.string().regex(UNIX_ADDRESS).nullable().default(null).meta({ description: doc, 'x-allowed': 'unix:/path' });

const HOST_AND_PORT = '(\\[[0-9a-fA-F:.]+\\]|[a-zA-Z0-9._-]+):[0-9]{1,5}';

/**
 * A URL of a form, in which `HOST` stands for host and port; null = unset.
 *
 * @param allowed the form in words
 * @param secret the URL may hold a credential, and is kept out of outputs
 */
export const optionalUrl = (form: RegExp, allowed: string, doc: string, secret = false) =>
  z
    .string()
    .regex(new RegExp(form.source.replace('HOST', HOST_AND_PORT)))
    .nullable()
    .default(null)
    .meta({ description: doc, 'x-allowed': allowed, ...(secret ? { 'x-secret': true } : {}) });
