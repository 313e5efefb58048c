/**
 * What a scripted KMIP server is told to do wrong, and when. Rules are kept in the order in which they were given; all
 * that match apply, and of two that would decide the same thing the older one does.
 */
import type { CertificateFiles } from '../certificates.ts';
import type { Operation } from './numbers.ts';

/** What happens to a request. Unless said otherwise it is carried out. */
export type RequestBehaviour =
  /** The answer comes this much later; other connections go on. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** The answer waits for this promise. */
  | { readonly kind: 'hold'; readonly until: Promise<unknown> }
  /** No answer ever, and the connection stays open. Carried out only if `executed`. */
  | { readonly kind: 'hang'; readonly executed?: boolean }
  /** Carried out; the connection ends after so many bytes of the answer (0: execute, then cut). */
  | { readonly kind: 'cutAfter'; readonly bytes: number; readonly reset?: boolean }
  /** Not carried out: the connection ends when the request is there. */
  | { readonly kind: 'cutBeforeRequest'; readonly reset?: boolean }
  /** The answer in pieces, one TLS record each; the sizes are used in turn. */
  | { readonly kind: 'split'; readonly sizes: readonly number[] }
  /** The answer and a second one like it in one piece. */
  | { readonly kind: 'merge' }
  /** The batch item fails with this Result Reason; null: with none. Carried out first only if `executed`. */
  | {
      readonly kind: 'reason';
      readonly code: number | null;
      readonly message?: string;
      readonly executed?: boolean;
    }
  /** These bytes, or what is made of the right ones, instead of the answer. */
  | { readonly kind: 'bytes'; readonly answer: Buffer | ((right: Buffer) => Buffer) }
  /** Get gives other bytes of the same length. */
  | { readonly kind: 'wrongKey' }
  /** Get gives the first bytes of the key only, under a header that fits them. */
  | { readonly kind: 'shortKey'; readonly bytes: number }
  /** Get Attributes tells this State, whatever the key's is. */
  | { readonly kind: 'state'; readonly state: number }
  /** As if this server did not know the key, or (Locate) any key. */
  | { readonly kind: 'missing' };

/** What happens to a new connection. */
export type ConnectBehaviour =
  /** Accepted, then ended before the TLS handshake. For a refusal by the kernel pause the server. */
  | { readonly kind: 'refuse' }
  /** Accepted, and the handshake starts this much later. */
  | { readonly kind: 'slowAccept'; readonly ms: number }
  /** Accepted, and nothing more. */
  | { readonly kind: 'hang' }
  /** Another server certificate (expired, of another authority, for another name). */
  | { readonly kind: 'certificate'; readonly files: CertificateFiles };

export type Rule =
  | { readonly on: 'connect'; readonly times?: number; readonly do: ConnectBehaviour }
  | {
      /** 'any': every operation. */
      readonly on: Operation | readonly Operation[] | 'any';
      /** Requests of this key only; those that name none do not match. */
      readonly kmsId?: string;
      /** So many batch items (or messages); default: all until the rule is removed. */
      readonly times?: number;
      readonly do: RequestBehaviour;
    };

type Kind<K extends RequestBehaviour['kind']> = Extract<RequestBehaviour, { kind: K }>;

/** A batch item: what it asks for, and of which key. */
interface Asked {
  readonly operation: Operation | null;
  readonly kmsId: string | null;
}

/** Behaviours that change what one batch item says; the others change the message that holds it. */
const ITEM_KINDS: ReadonlySet<string> = new Set(['reason', 'wrongKey', 'shortKey', 'state', 'missing']);

export class Script {
  #rules: { readonly rule: Rule; left: number }[] = [];

  /** Adds a rule; the returned function removes it. */
  add(rule: Rule): () => void {
    const entry = { rule, left: rule.times ?? Number.POSITIVE_INFINITY };
    this.#rules.push(entry);
    return () => {
      this.#rules = this.#rules.filter((other) => other !== entry);
    };
  }

  /** What a new connection meets; counts as one time. */
  connect(): ConnectBehaviour[] {
    return this.#take((rule) => (rule.on === 'connect' ? rule.do : null));
  }

  /** What one batch item is to say; counts as one time. */
  forItem(item: Asked): Chosen {
    return this.#choose([item], true);
  }

  /** What is done to the message that holds these batch items; counts as one time. */
  forMessage(items: readonly Asked[]): Chosen {
    return this.#choose(items, false);
  }

  #choose(items: readonly Asked[], itemKinds: boolean): Chosen {
    const matching = this.#take((rule) =>
      rule.on !== 'connect' &&
      ITEM_KINDS.has(rule.do.kind) === itemKinds &&
      items.some((item) => matches(rule, item))
        ? rule.do
        : null,
    );
    return new Chosen(matching);
  }

  /** The behaviours of the rules that match and have times left; each loses one. */
  #take<B>(behaviourOf: (rule: Rule) => B | null): B[] {
    return this.#rules.flatMap((entry) => {
      const behaviour = entry.left > 0 ? behaviourOf(entry.rule) : null;
      if (behaviour === null) return [];
      entry.left -= 1;
      return [behaviour];
    });
  }
}

function matches(rule: Exclude<Rule, { on: 'connect' }>, { operation, kmsId }: Asked): boolean {
  if (rule.kmsId !== undefined && rule.kmsId !== kmsId) return false;
  if (rule.on === 'any') return true;
  if (operation === null) return false;
  return typeof rule.on === 'string' ? rule.on === operation : rule.on.includes(operation);
}

/** The behaviours that apply to one item or message. */
export class Chosen {
  #behaviours: readonly RequestBehaviour[];

  constructor(behaviours: readonly RequestBehaviour[]) {
    this.#behaviours = behaviours;
  }

  /** The oldest one of this kind, or undefined. */
  get<K extends RequestBehaviour['kind']>(kind: K): Kind<K> | undefined {
    return this.#behaviours.find((behaviour): behaviour is Kind<K> => behaviour.kind === kind);
  }
}
