/** Lines of a stream of UTF-8 bytes: the framing of a watch. */

const NEWLINE = 0x0a;

/** Far above the largest object that etcd takes (1.5 MiB). */
const LONGEST_LINE_BYTES = 16 * 1_024 * 1_024;

/** Each whole line, without its end. What is after the last one was cut off and is left out. Throws RangeError. */
export async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...parts, chunk.subarray(start, end)]).toString('utf8');
      parts = [];
      held = 0;
      start = end + 1;
      if (line.trim() !== '') yield line;
    }
    if (start < chunk.length) {
      parts.push(chunk.subarray(start));
      held += chunk.length - start;
      if (held > LONGEST_LINE_BYTES) throw new RangeError('a line of the watch is longer than 16 MiB');
    }
  }
}
