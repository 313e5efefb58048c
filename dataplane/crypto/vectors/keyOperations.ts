import { z } from 'zod';
import { openAccessKeySecret, sealAccessKeySecret } from '../accessKeySecret.ts';
import { controlKey, controlMac, verifyControlMac } from '../control.ts';
import { keyCheckValue, openDataKey, sealDataKey } from '../dataKey.ts';
import { enc } from '../encoding.ts';
import { listKey, maskEtag } from '../listEtag.ts';
import { fixedRandom, operation } from './operation.ts';
import { field, hex, key } from './values.ts';

const binding = z.strictObject({
  purpose: z.enum(['object', 'upload']),
  bucketUid: z.string(),
  objectKey: hex,
  id: z.string(),
  n: z.number(),
});

const controlRow = z.strictObject({
  installationKey: key,
  table: z.string(),
  identifiers: z.array(field),
  document: hex,
});

/** Encoding, sealed data keys, control rows, secrets of access keys, ETags in listings. */
export const keyOperations = {
  encode: operation(z.strictObject({ fields: z.array(field) }), ({ fields }) => ({
    encoded: enc(fields).toString('hex'),
  })),

  keyCheck: operation(z.strictObject({ bucketKey: key }), ({ bucketKey }) => ({
    keyCheckValue: keyCheckValue(bucketKey).toString('hex'),
  })),

  sealKey: operation(
    z.strictObject({ bucketKey: key, binding, dataKey: key, wrapSalt: hex }),
    ({ bucketKey, binding, dataKey, wrapSalt }) => {
      const { sealedKey } = sealDataKey(bucketKey, binding, dataKey, fixedRandom(wrapSalt));
      return { sealedKey: sealedKey.toString('hex') };
    },
  ),

  openKey: operation(
    z.strictObject({ bucketKey: key, binding, wrapSalt: hex, sealedKey: hex }),
    ({ bucketKey, binding, ...sealed }) => ({
      dataKey: openDataKey(bucketKey, binding, sealed).export().toString('hex'),
    }),
  ),

  controlMac: operation(controlRow, ({ installationKey, table, identifiers, document }) => ({
    mac: controlMac(controlKey(installationKey), table, identifiers, document).toString('hex'),
  })),

  verifyControlMac: operation(
    controlRow.extend({ mac: hex }),
    ({ installationKey, table, identifiers, document, mac }) => {
      verifyControlMac(controlKey(installationKey), table, identifiers, document, mac);
      return {};
    },
  ),

  sealSecret: operation(
    z.strictObject({ installationKey: key, accessKeyId: z.string(), secret: z.string(), secretSalt: hex }),
    ({ installationKey, accessKeyId, secret, secretSalt }) => {
      const sealed = sealAccessKeySecret(installationKey, accessKeyId, secret, fixedRandom(secretSalt));
      return { sealedSecret: sealed.sealedSecret.toString('hex') };
    },
  ),

  openSecret: operation(
    z.strictObject({ installationKey: key, accessKeyId: z.string(), secretSalt: hex, sealedSecret: hex }),
    ({ installationKey, accessKeyId, ...sealed }) => ({
      secret: openAccessKeySecret(installationKey, accessKeyId, sealed),
    }),
  ),

  maskEtag: operation(
    z.strictObject({ bucketKey: key, wrapSalt: hex, etag: hex }),
    ({ bucketKey, wrapSalt, etag }) => ({
      masked: maskEtag(listKey(bucketKey), wrapSalt, etag).toString('hex'),
    }),
  ),
};
