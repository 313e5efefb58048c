/** Verifies a body of parts: its pages, how they lie one behind the other, the digests and every blob. */
import { createHash } from 'node:crypto';
import { FormatError } from '../crypto/errors.ts';
import { decodeDigests, openDigests, type PartDigests } from '../crypto/parts.ts';
import type { PartEntry, PartPage } from '../metadata/metadata.ts';
import type { BodyCipher } from '../objects/bodyReader.ts';
import { PARTS_PER_PAGE, verifiedPage } from '../objects/partPages.ts';
import type { OpenedVersion } from '../objects/version.ts';
import { type Checks, checkBlob, type Doubts } from './checks.ts';
import type { Place } from './findings.ts';

export async function checkParts(
  checks: Checks,
  doubts: Doubts,
  place: Place,
  { version, record }: OpenedVersion,
  cipher: BodyCipher | null,
): Promise<void> {
  const { bodyId, partCount, size } = version;
  const md5 = createHash('md5');
  let offset = 0;
  let readable = true;
  for (let page = 0; page * PARTS_PER_PAGE < partCount; page += 1) {
    const found = await doubts.attempt(place, () =>
      verifiedPage(checks.stores.metadata, version, cipher?.dataKey ?? null, page),
    );
    if (found === null) {
      readable = false;
      continue;
    }
    if (!(await foundByIndex(checks, bodyId, found)))
      doubts.add(place, `the index of page ${page} leads elsewhere`);
    for (const part of found.parts) {
      const here = { ...place, partNumber: part.partNumber };
      if (readable && part.offset !== offset) doubts.add(here, 'the part does not follow the one before');
      offset = part.offset + part.size;
      const { blobId } = part.location;
      const digests = await doubts.attempt({ ...here, blobId }, () => digestsOf(bodyId, part, cipher));
      if (digests === null) readable = false;
      else md5.update(digests.md5);
      await checkBlob(checks, doubts, here, cipher, part);
    }
  }
  // Where a page is missing there is a finding already.
  if (!readable) return;
  if (offset !== size) doubts.add(place, 'the parts do not add up to the size of the object');
  if (Buffer.compare(md5.digest(), record.md5) !== 0)
    doubts.add(place, 'the MD5s of the parts do not make that of the object');
}

/** Ranged reads find pages by columns beside the page, which nothing authenticates. */
async function foundByIndex({ stores }: Checks, bodyId: string, page: PartPage): Promise<boolean> {
  const { metadata } = stores;
  const ends = [page.parts[0], page.parts.at(-1)].filter((part) => part !== undefined);
  for (const { partNumber, offset, size } of ends) {
    if ((await metadata.findPage(bodyId, { partNumber })) !== page.page) return false;
    if (size > 0 && (await metadata.findPage(bodyId, { offset })) !== page.page) return false;
  }
  return true;
}

function digestsOf(bodyId: string, part: PartEntry, cipher: BodyCipher | null): PartDigests {
  const { partNumber, digests, digestSalt, location } = part;
  if (cipher === null) return decodeDigests(digests);
  if (digestSalt === null) throw new FormatError('Integrity', 'part digests: not sealed');
  const binding = { bodyId, partNumber, blobId: location.blobId };
  return openDigests(cipher.dataKey, binding, { digestSalt, sealedDigests: digests });
}
