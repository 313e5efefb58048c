/** What a refused request of AWS's SDK said. */
import { S3ServiceException } from '@aws-sdk/client-s3';

export interface Refusal {
  readonly code: string;
  readonly status: number | undefined;
  /** Message and further elements of the error document. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** The refusal that a request must end in; throws when it succeeds. */
export async function refusal(sent: Promise<unknown>): Promise<Refusal> {
  try {
    await sent;
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    return {
      code: error.name,
      status: error.$metadata.httpStatusCode,
      details: Object.fromEntries(Object.entries(error)),
    };
  }
  throw new Error('the request was not refused');
}
