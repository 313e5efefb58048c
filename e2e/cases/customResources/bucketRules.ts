import { type RuleCase, WHOLE_OBJECT } from './rules.ts';
import type { Json } from './samples.ts';

const spec = (fields: Json): Json => ({ spec: fields });
const named = (name: string): Json => ({ metadata: { name }, spec: { bucketName: null } });
const entry = (fields: Json): Json =>
  spec({ access: [{ name: 'app', permissions: 'Admin', secretName: 'one', ...fields }] });

const LABEL = 'must have only lower-case letters, digits and hyphens, with a letter or digit at both ends';
const NAME =
  'must be the name of an object: lower-case letters, digits, hyphens and dots, with a letter or digit at both ends';
const IN_WORDS = (least: string, most: string): string =>
  `must be a duration between ${least} and ${most}, written like 500ms, 5m or 1h30m`;

export const BUCKET_RULES: readonly RuleCase[] = [
  {
    field: WHOLE_OBJECT,
    says: 'the bucket name (spec.bucketName, or metadata.name without it) must have 3 to 63 characters: lower-case letters, digits, dots and hyphens, with a letter or digit at both ends',
    passes: [spec({ bucketName: 'a.b' }), spec({ bucketName: '0'.repeat(63) }), named('c'.repeat(63))],
    refuses: [
      spec({ bucketName: 'Invoices' }),
      spec({ bucketName: 'in_voices' }),
      spec({ bucketName: '-ab' }),
      spec({ bucketName: 'ab.' }),
      named('ab'),
      named('c'.repeat(64)),
    ],
  },
  {
    field: WHOLE_OBJECT,
    says: 'the bucket name must not have two dots in a row or look like an IP address',
    passes: [spec({ bucketName: '10.0.0.a' }), named('1.2.3')],
    refuses: [spec({ bucketName: 'a..b' }), spec({ bucketName: '192.168.5.4' }), named('999.1.1.1')],
  },
  {
    field: WHOLE_OBJECT,
    says: 'the bucket name must not have a hyphen beside a dot',
    passes: [spec({ bucketName: 'a-b.c-d' }), named('a--b.c')],
    refuses: [spec({ bucketName: 'a-.b' }), spec({ bucketName: 'a.-b' })],
  },
  {
    field: WHOLE_OBJECT,
    says: 'the bucket name must not begin with xn--, sthree-, amzn-s3-demo- or end with -s3alias, --ol-s3, .mrap, --x-s3, --table-s3: S3 reserves these',
    passes: [spec({ bucketName: 'a-xn--b' }), spec({ bucketName: 'x--x-s3x' })],
    refuses: [
      named('xn--a'),
      ...['sthree-a', 'amzn-s3-demo-a', 'a-s3alias', 'a--ol-s3', 'a.mrap', 'a--x-s3', 'a--table-s3'].map(
        (bucketName) => spec({ bucketName }),
      ),
    ],
  },
  {
    field: 'spec.bucketName',
    says: 'the bucket name cannot be changed',
    before: named('unnamed'),
    passes: [spec({ bucketName: 'unnamed' }), spec({ adopt: false })],
    refuses: [spec({ bucketName: 'another' })],
  },
  {
    field: 'spec.bucketName',
    says: 'the bucket name cannot be changed',
    before: { metadata: { name: 'renamed' }, spec: { bucketName: 'first' } },
    passes: [spec({ bucketName: 'first', adopt: false })],
    refuses: [spec({ bucketName: 'second' }), spec({ bucketName: null })],
  },
  {
    field: 'spec.access',
    says: 'each access entry needs a secretName of its own',
    passes: [spec({ access: null }), entry({})],
    refuses: [
      spec({
        access: [
          { name: 'app', permissions: 'Admin', secretName: 'same' },
          { name: 'report', permissions: 'WriteOnly', secretName: 'same' },
        ],
      }),
    ],
  },
  {
    field: 'spec.access[0].name',
    says: LABEL,
    passes: [entry({ name: '0-a' })],
    refuses: [entry({ name: 'App' }), entry({ name: 'a.b' }), entry({ name: 'a-' })],
  },
  {
    field: 'spec.access[0].secretName',
    says: NAME,
    passes: [entry({ secretName: 'a.b-c.0' })],
    refuses: [entry({ secretName: 'a..b' }), entry({ secretName: 'A' }), entry({ secretName: 'a/b' })],
  },
  {
    field: 'spec.access[0].overlap',
    says: IN_WORDS('0s', '720h'),
    passes: [entry({ overlap: '0s' }), entry({ overlap: '720h' }), entry({ overlap: '719h59m60s' })],
    refuses: [entry({ overlap: '720h1ms' }), entry({ overlap: '30d' }), entry({ overlap: '-1h' })],
  },
  {
    field: 'spec.keyRotation.interval',
    says: IN_WORDS('24h', '87600h'),
    passes: [spec({ keyRotation: { interval: '24h' } }), spec({ keyRotation: { interval: '87600h' } })],
    refuses: ['23h59m', '87600h1s', '', '90d', '1.5h', '24 h'].map((interval) =>
      spec({ keyRotation: { interval } }),
    ),
  },
  {
    field: 'spec.kmsConnectionRef.name',
    says: NAME,
    passes: [spec({ kmsConnectionRef: { name: 'key.secure-8' } })],
    refuses: [spec({ kmsConnectionRef: { name: 'kms/keysecure' } })],
  },
  {
    field: 'spec.kmsConnectionRef.namespace',
    says: LABEL,
    passes: [spec({ kmsConnectionRef: { namespace: null } })],
    refuses: [spec({ kmsConnectionRef: { namespace: 'a.b' } })],
  },
];
