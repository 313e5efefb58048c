/** What a reflector asks of the API server, beside KubeApi. Every call rejects with KubeError. */
import type { ObjectPage, WatchLine } from './answers.ts';
import type { ResourceType } from './resource.ts';

/** Which objects of a kind. */
export interface Selection {
  /** Undefined: of all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** Objects come as PartialObjectMetadata: their contents are not sent. */
  readonly metadataOnly?: boolean | undefined;
}

export interface WatchApi {
  /** One page of at most 500; with `next` of the page before. Rejects with Expired when that is too old by now. */
  listPage(type: ResourceType, selection: Selection, next: string, signal: AbortSignal): Promise<ObjectPage>;
  /**
   * Changes after a resourceVersion. Ends when the server ends it, at the latest after `timeoutSeconds`; rejects when
   * the connection breaks. An ERROR event rejects with its code (Expired: list again).
   */
  watch(
    type: ResourceType,
    selection: Selection,
    from: { readonly resourceVersion: string; readonly timeoutSeconds: number },
    signal: AbortSignal,
  ): AsyncIterable<Exclude<WatchLine, { readonly type: 'failure' }>>;
}
