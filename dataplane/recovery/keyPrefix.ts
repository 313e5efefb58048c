/** Whether an object key starts with these bytes. */
export function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return Buffer.compare(key.subarray(0, prefix.byteLength), prefix) === 0;
}
