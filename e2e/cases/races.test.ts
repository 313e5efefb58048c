import { createHash } from 'node:crypto';
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBucket } from '../harness/clients.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { type RawAnswer, send } from '../harness/signedRequest.ts';

const CLIENTS = 64;
const ROUNDS = 5;
const BUCKETS = ['race-encrypted', 'race-plain'] as const;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2 });
  for (const bucket of BUCKETS) await createBucket(deployment.server, bucket, bucket === 'race-encrypted');
});
afterAll(() => deployment.close());

const etagOf = (body: Buffer): string => `"${createHash('md5').update(body).digest('hex')}"`;

/** Another body in each round: the same bytes again would be the same ETag, and a second winner right. */
const text = (round: number, client: number): string => `round ${round}, written by client ${client}`;

/** All clients at once, each on a connection of its own, so that both workers take part. */
function race(
  bucket: string,
  key: string,
  round: number,
  condition: readonly [string, string],
): Promise<RawAnswer[]> {
  return Promise.all(
    Array.from({ length: CLIENTS }, (_, i) =>
      send(deployment.server, {
        method: 'PUT',
        path: `/${bucket}/${key}`,
        headers: [condition],
        body: Buffer.from(text(round, i)),
      }),
    ),
  );
}

async function expectOneWinner(
  bucket: string,
  key: string,
  round: number,
  answers: readonly RawAnswer[],
): Promise<string> {
  const winners = answers.flatMap((answer, i) => (answer.status === 200 ? [i] : []));
  expect(winners.length).toBe(1);
  for (const answer of answers) {
    if (answer.status !== 200) expect([answer.status, answer.code]).toEqual([412, 'PreconditionFailed']);
  }
  const { Body, ETag } = await deployment.s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  const body = await Body?.transformToString();
  expect(body).toBe(text(round, winners[0] ?? -1));
  expect(ETag).toBe(etagOf(Buffer.from(body ?? '')));
  return ETag ?? '';
}

describe.each(BUCKETS)('64 clients on one key of %s, over two workers', (bucket) => {
  it('with If-None-Match: * exactly one wins, every time', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const key = `first-${round}`;
      await expectOneWinner(bucket, key, round, await race(bucket, key, round, ['if-none-match', '*']));
    }
    const { KeyCount } = await deployment.s3.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: 'first-' }),
    );
    expect(KeyCount).toBe(ROUNDS);
  });

  it('with If-Match on one ETag exactly one wins, every time', async () => {
    const body = Buffer.from('the version that all of them saw');
    await send(deployment.server, { method: 'PUT', path: `/${bucket}/seen`, body });
    let etag = etagOf(body);
    for (let round = 0; round < ROUNDS; round += 1) {
      etag = await expectOneWinner(
        bucket,
        'seen',
        round,
        await race(bucket, 'seen', round, ['if-match', etag]),
      );
    }
  });

  it('both workers served the race', async () => {
    const threads = new Set(
      deployment.server
        .logLines()
        .filter((line) => line.includes('"operation":"PutObject"'))
        .map((line) => (JSON.parse(line) as { thread: string }).thread),
    );
    expect(threads.size).toBe(2);
  });
});
