/** All pages of a list as one. */
import type { ObjectPage } from './answers.ts';
import { KubeError } from './kubeApi.ts';
import type { KubeObject, ResourceType } from './resource.ts';
import type { Selection, WatchApi } from './watchApi.ts';

/** A list that grows too old between its pages is begun again this often. */
const ATTEMPTS = 3;

export interface FullList {
  readonly items: readonly KubeObject[];
  /** Where a watch goes on. */
  readonly resourceVersion: string;
}

/** Rejects with KubeError; Expired when the pages outlived the server's memory each time. */
export async function listAll(
  api: Pick<WatchApi, 'listPage'>,
  type: ResourceType,
  selection: Selection,
  signal: AbortSignal,
): Promise<FullList> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await pages(api, type, selection, signal);
    } catch (error) {
      const tooOld = error instanceof KubeError && error.code === 'Expired';
      if (!tooOld || attempt >= ATTEMPTS || signal.aborted) throw error;
    }
  }
}

async function pages(
  api: Pick<WatchApi, 'listPage'>,
  type: ResourceType,
  selection: Selection,
  signal: AbortSignal,
): Promise<FullList> {
  const items: KubeObject[] = [];
  let page: ObjectPage;
  let next = '';
  do {
    page = await api.listPage(type, selection, next, signal);
    items.push(...page.items);
    next = page.next;
  } while (next !== '');
  return { items, resourceVersion: page.resourceVersion };
}
