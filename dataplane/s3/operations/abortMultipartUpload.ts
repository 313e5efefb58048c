import { checkEncryptionHeaders, type Operation } from '../context.ts';
import { noSuchUpload, requireUpload } from '../uploads.ts';

/** AbortMultipartUpload: the upload ends and its parts become garbage; needs no key. */
export const abortMultipartUpload: Operation = async (context) => {
  const { request, services } = context;
  const { upload } = await requireUpload(context);
  checkEncryptionHeaders(context, { operation: 'FinishUpload', encrypted: upload.encrypted });
  const { bucketUid, key, uploadId } = upload;
  if (!(await services.metadata.abortUpload(bucketUid, key, uploadId))) throw noSuchUpload(request.query);
  return { status: 204 };
};
