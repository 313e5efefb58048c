/** The parts of the API server's answers that are relied upon; everything else passes through as it came. */
import { z } from 'zod';
import type { KubeObject, ResourceType } from './resource.ts';

const texts = z.record(z.string(), z.string());

const objectMeta = z.looseObject({
  name: z.string().min(1),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generation: z.number().optional(),
  creationTimestamp: z.string().nullish(),
  deletionTimestamp: z.string().optional(),
  finalizers: z.array(z.string()).optional(),
  labels: texts.optional(),
  annotations: texts.optional(),
});

/** Items of lists carry no apiVersion and kind for some kinds. */
const item = z.looseObject({ metadata: objectMeta });

const list = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string().optional(), continue: z.string().optional() }),
  items: z.array(z.unknown()).nullable(),
});

export interface ObjectPage {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  /** Empty: this was the last page. */
  readonly next: string;
}

/** An answer as an object of that kind. Throws ZodError. */
export function parseObject(type: ResourceType, answer: unknown): KubeObject {
  const parsed = item.parse(answer);
  const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`;
  return { ...parsed, apiVersion, kind: type.kind } as KubeObject;
}

/** An answer as a page of objects. Throws ZodError. */
export function parsePage(type: ResourceType, answer: unknown): ObjectPage {
  const { metadata, items } = list.parse(answer);
  return {
    items: (items ?? []).map((entry) => parseObject(type, entry)),
    resourceVersion: metadata.resourceVersion ?? '',
    next: metadata.continue ?? '',
  };
}

const resourceList = z.looseObject({ resources: z.array(z.looseObject({ name: z.string() })).nullish() });

/** The plural names in an APIResourceList: those of kinds, and of their subresources. Throws ZodError. */
export function parseResourceNames(answer: unknown): readonly string[] {
  return (resourceList.parse(answer).resources ?? []).map(({ name }) => name);
}

const watchEvent = z.looseObject({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.unknown(),
});

const bookmark = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string().min(1) }) });

/** One line of a watch. `failure` is the Status of an ERROR event. */
export type WatchLine =
  | { readonly type: 'changed' | 'deleted'; readonly object: KubeObject }
  | { readonly type: 'bookmark'; readonly resourceVersion: string }
  | { readonly type: 'failure'; readonly status: Status };

/** Throws ZodError or SyntaxError. */
export function parseWatchLine(type: ResourceType, text: string): WatchLine {
  const event = watchEvent.parse(JSON.parse(text));
  if (event.type === 'ERROR') return { type: 'failure', status: parseStatus(event.object) };
  if (event.type === 'BOOKMARK') {
    return { type: 'bookmark', resourceVersion: bookmark.parse(event.object).metadata.resourceVersion };
  }
  return {
    type: event.type === 'DELETED' ? 'deleted' : 'changed',
    object: parseObject(type, event.object),
  };
}

const status = z.looseObject({
  code: z.number().optional(),
  reason: z.string().optional(),
  details: z
    .looseObject({
      retryAfterSeconds: z.number().optional(),
      causes: z
        .array(z.looseObject({ reason: z.string().optional(), field: z.string().optional() }))
        .optional(),
    })
    .nullish(),
});

/** metav1.Status, without its message: that may quote the object. */
export interface Status {
  readonly code: number;
  readonly reason: string;
  readonly retryAfterSeconds: number | null;
  /** Fields and reasons of an invalid object. */
  readonly causes: readonly string[];
}

/** Anything else than a Status, such as the page of a proxy, counts as an empty one. */
export function parseStatus(answer: unknown): Status {
  const parsed = status.safeParse(answer);
  if (!parsed.success) return { code: 0, reason: '', retryAfterSeconds: null, causes: [] };
  const { code, reason, details } = parsed.data;
  return {
    code: code ?? 0,
    reason: reason ?? '',
    retryAfterSeconds: details?.retryAfterSeconds ?? null,
    causes: (details?.causes ?? []).slice(0, 8).map((cause) => `${cause.field ?? ''}: ${cause.reason ?? ''}`),
  };
}
