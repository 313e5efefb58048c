/** Writes the vector files. Run `node dataplane/crypto/vectors/generate.ts` after a change of the format, and read the difference. */
import { writeFileSync } from 'node:fs';
import { blobVectors, rangeVectors, sizeVectors } from './blobVectors.ts';
import {
  accessKeySecretVectors,
  controlVectors,
  encodingVectors,
  listEtagVectors,
  sealedKeyVectors,
} from './keyVectors.ts';
import { digestVectors, partMacVectors } from './partVectors.ts';
import { recordVectors, uploadVectors } from './recordVectors.ts';
import type { VectorFile } from './vectorFile.ts';

/** Name of each vector file and how its content is made. */
export const vectorFiles: Readonly<Record<string, () => VectorFile>> = {
  'encoding.json': encodingVectors,
  'sealed-key.json': sealedKeyVectors,
  'blob.json': blobVectors,
  'sizes.json': sizeVectors,
  'ranges.json': rangeVectors,
  'record.json': recordVectors,
  'upload.json': uploadVectors,
  'digests.json': digestVectors,
  'part-mac.json': partMacVectors,
  'control.json': controlVectors,
  'access-key-secret.json': accessKeySecretVectors,
  'list-etag.json': listEtagVectors,
};

/** A vector file's text. */
export function vectorText(file: VectorFile): string {
  return `${JSON.stringify(file, null, 2)}\n`;
}

if (import.meta.main) {
  for (const [name, vectors] of Object.entries(vectorFiles)) {
    writeFileSync(new URL(name, import.meta.url), vectorText(vectors()));
  }
}
