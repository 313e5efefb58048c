import { fileURLToPath } from 'node:url';
import { awsVariables, pythonClient, type RoundTrip, runClient, tracesOf } from '../clients.ts';

const SCRIPT = fileURLToPath(new URL('boto3_round_trip.py', import.meta.url));

/** boto3: what boto3_round_trip.py does. */
export const boto3RoundTrip: RoundTrip = async (trip) => {
  const { access, bucket, folder, small, large } = trip;
  const env = { ...awsVariables(access), PYTHONDONTWRITEBYTECODE: '1' };
  await runClient(pythonClient('python'), [SCRIPT, bucket, small.path, large.path], { folder, env });
  return tracesOf(trip);
};
