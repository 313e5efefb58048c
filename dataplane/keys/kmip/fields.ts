/** Building and reading the items of a structure by tag. Unknown tags are passed over, as KMIP asks of clients. */
import { type Ttlv, TtlvError, type TtlvType, type TtlvValues, tagName } from './ttlv.ts';

export const structure = (tag: number, value: readonly Ttlv[]): Ttlv => ({ tag, type: 'Structure', value });
export const integer = (tag: number, value: number): Ttlv => ({ tag, type: 'Integer', value });
export const enumeration = (tag: number, value: number): Ttlv => ({ tag, type: 'Enumeration', value });
export const boolean = (tag: number, value: boolean): Ttlv => ({ tag, type: 'Boolean', value });
export const textString = (tag: number, value: string): Ttlv => ({ tag, type: 'TextString', value });
export const byteString = (tag: number, value: Uint8Array): Ttlv => ({ tag, type: 'ByteString', value });

/** The values of all items with this tag. Throws TtlvError when one has another type. */
export function values<T extends TtlvType>(items: readonly Ttlv[], tag: number, type: T): TtlvValues[T][] {
  return items.filter((item) => item.tag === tag).map((item) => valueOf(item, type));
}

/** The value of the first item with this tag, or null when there is none. Throws TtlvError on another type. */
export function optional<T extends TtlvType>(
  items: readonly Ttlv[],
  tag: number,
  type: T,
): TtlvValues[T] | null {
  const item = items.find((candidate) => candidate.tag === tag);
  return item === undefined ? null : valueOf(item, type);
}

/** The value of the first item with this tag. Throws TtlvError when it is missing or of another type. */
export function required<T extends TtlvType>(items: readonly Ttlv[], tag: number, type: T): TtlvValues[T] {
  const value = optional(items, tag, type);
  if (value === null) throw new TtlvError(`no item ${tagName(tag)} in the answer`);
  return value;
}

/** The item's value as `type`. Throws TtlvError when it is of another type. */
export function valueOf<T extends TtlvType>(item: Ttlv, type: T): TtlvValues[T] {
  if (!isOfType(item, type)) throw new TtlvError(`item ${tagName(item.tag)} is ${item.type}, not ${type}`);
  return item.value;
}

function isOfType<T extends TtlvType>(
  item: Ttlv,
  type: T,
): item is Ttlv & { readonly type: T; readonly value: TtlvValues[T] } {
  return item.type === type;
}
