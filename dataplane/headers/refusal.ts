/** How a refusal by the encryption header rules is told to the client. */
import { S3Error } from '../s3/errors.ts';
import { REFUSAL_MESSAGE, type Verdict } from './rules.ts';

/** 400 InvalidArgument with the offending header as ArgumentName and, where it may be shown, its value. */
export function encryptionRefusal(verdict: Extract<Verdict, { allowed: false }>): S3Error {
  const { argumentName, argumentValue } = verdict;
  const details = {
    ArgumentName: argumentName,
    ...(argumentValue === undefined ? {} : { ArgumentValue: argumentValue }),
  };
  return new S3Error('InvalidArgument', REFUSAL_MESSAGE, { details });
}
