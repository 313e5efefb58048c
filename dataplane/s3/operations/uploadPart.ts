import { withTrailers } from '../../headers/rules.ts';
import { etagOf } from '../../objects/version.ts';
import { receiveBody } from '../body/receive.ts';
import { checkEncryptionHeaders, type Operation } from '../context.ts';
import { objectBody } from '../requestBody.ts';
import { openStoredUpload, partNumberOf, requireUpload } from '../uploads.ts';
import { encryptionHeader } from '../writeObject.ts';
import { partChecksumAlgorithm, partChecksumHeader, writePart } from '../writePart.ts';

/** UploadPart: one attempt at one part, sealed if and only if the upload was created encrypted. */
export const uploadPart: Operation = async (context) => {
  const { request, exchange, services } = context;
  const partNumber = partNumberOf(request.query);
  const { upload } = await requireUpload(context);
  const subject = { operation: 'Write', encrypted: upload.encrypted } as const;
  checkEncryptionHeaders(context, subject);
  // After the header rules: what is wrong with a checksum must not hide a refused encryption trailer.
  const body = objectBody(request);
  const opened = await openStoredUpload(services, upload, 'write');
  const addedChecksum = partChecksumAlgorithm(opened, body.checksum);
  const part = { partNumber, plaintextSize: body.size };
  const { bytes } = await writePart(services, opened, part, async (writer) => {
    const received = await receiveBody(exchange, writer, { ...body, addedChecksum });
    checkEncryptionHeaders(context, subject, withTrailers(request.encryption, received.trailers));
    return received;
  });
  return {
    status: 200,
    headers: {
      etag: etagOf(bytes.md5, 0),
      ...encryptionHeader(opened.dataKey !== null),
      ...partChecksumHeader(bytes.checksum),
    },
  };
};
