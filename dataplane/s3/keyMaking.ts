import type { KeyMaking } from '../buckets/makeBucketKey.ts';
import type { S3Services } from './services.ts';

/** What the making of bucket keys needs of a worker's services. */
export function keyMaking(services: S3Services): KeyMaking {
  const { metadata, keys, settings } = services;
  return {
    metadata,
    keys,
    incarnation: settings.incarnation,
    now: () => services.now(),
    keyNamePrefix: (connection) => settings.keyNamePrefix(connection),
  };
}
