import { describe, expect, it } from 'vitest';
import { SECRET_KEY, signingKey } from './signer.testkit.ts';
import { SigningKeys } from './signingKeys.ts';

describe('signing keys', () => {
  it('are derived as AWS documents it', () => {
    // Signature Version 4 documentation, "Deriving the signing key", with s3 for the service.
    const key = new SigningKeys().get('A', SECRET_KEY, '20130524', 'us-east-1');
    expect(key.export().toString('hex')).toBe(
      'dbb893acc010964918f1fd433add87c70e8b0db6be30c1fbeafefa5ec6ba8378',
    );
    expect(key.equals(signingKey())).toBe(true);
  });

  it('are derived once per access key, day and region', () => {
    const keys = new SigningKeys();
    const key = keys.get('A', SECRET_KEY, '20130524', 'us-east-1');
    expect(keys.get('A', SECRET_KEY, '20130524', 'us-east-1')).toBe(key);
    expect(keys.get('A', SECRET_KEY, '20130525', 'us-east-1').equals(key)).toBe(false);
    expect(keys.get('A', SECRET_KEY, '20130524', 'eu-west-1').equals(key)).toBe(false);
    expect(keys.get('B', SECRET_KEY, '20130524', 'us-east-1').equals(key)).toBe(true);
  });

  it('follow a secret that was replaced', () => {
    const keys = new SigningKeys();
    const old = keys.get('A', 'old', '20130524', 'us-east-1');
    expect(keys.get('A', 'new', '20130524', 'us-east-1').equals(old)).toBe(false);
    expect(keys.size).toBe(1);
  });

  it('of an access key that is gone are forgotten, and of no other', () => {
    const keys = new SigningKeys();
    const gone = keys.get('A', SECRET_KEY, '20130524', 'us-east-1');
    keys.get('A', SECRET_KEY, '20130525', 'us-east-1');
    const other = keys.get('B', SECRET_KEY, '20130524', 'us-east-1');
    keys.forget('A');
    keys.forget('C');
    expect(keys.size).toBe(1);
    expect(keys.get('B', SECRET_KEY, '20130524', 'us-east-1')).toBe(other);
    expect(keys.get('A', SECRET_KEY, '20130524', 'us-east-1')).not.toBe(gone);
  });

  it('of one access key are those of a few days, oldest out first', () => {
    const keys = new SigningKeys();
    for (let day = 10; day < 30; day += 1) keys.get('A', SECRET_KEY, `201305${day}`, 'us-east-1');
    expect(keys.size).toBe(4);
    const newest = keys.get('A', SECRET_KEY, '20130529', 'us-east-1');
    expect(keys.get('A', SECRET_KEY, '20130529', 'us-east-1')).toBe(newest);
  });

  it('are bounded, oldest out first', () => {
    const keys = new SigningKeys(2);
    const first = keys.get('A', SECRET_KEY, '20130524', 'us-east-1');
    const second = keys.get('B', SECRET_KEY, '20130524', 'us-east-1');
    keys.get('C', SECRET_KEY, '20130524', 'us-east-1');
    expect(keys.size).toBe(2);
    expect(keys.get('B', SECRET_KEY, '20130524', 'us-east-1')).toBe(second);
    expect(keys.get('A', SECRET_KEY, '20130524', 'us-east-1')).not.toBe(first);
  });
});
