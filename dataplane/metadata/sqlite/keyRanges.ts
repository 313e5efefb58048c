/** Ranges over keys compared bytewise: prefixes, and how to step over a group without reading it. */

/** The least byte string greater than everything that starts with `prefix`; null when there is none (only 0xff). */
export function afterPrefix(prefix: Uint8Array): Uint8Array | null {
  let length = prefix.byteLength;
  while (length > 0 && prefix[length - 1] === 0xff) length -= 1;
  if (length === 0) return null;
  // A copy: slice() of a Buffer would be a view of the caller's bytes.
  const next = new Uint8Array(prefix.subarray(0, length));
  next[length - 1] = (next[length - 1] ?? 0) + 1;
  return next;
}

/** The least byte string greater than `key`. */
export function afterKey(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.byteLength + 1);
  next.set(key);
  return next;
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return (
    key.byteLength >= prefix.byteLength && Buffer.compare(key.subarray(0, prefix.byteLength), prefix) === 0
  );
}

/** The part of `key` up to and with the first delimiter after `prefix`; null when it has none, or another prefix. */
export function commonPrefix(
  key: Uint8Array,
  prefix: Uint8Array,
  delimiter: Uint8Array | null,
): Uint8Array | null {
  if (delimiter === null || delimiter.byteLength === 0 || !startsWith(key, prefix)) return null;
  const view = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  const at = view.indexOf(delimiter, prefix.byteLength);
  return at === -1 ? null : new Uint8Array(key.subarray(0, at + delimiter.byteLength));
}
