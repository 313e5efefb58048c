import { describe, expect, it } from 'vitest';
import { opensslSubject } from './authority.ts';
import { kubeconfigText } from './kubeconfig.ts';

describe('a kubeconfig', () => {
  const endpoint = { server: 'https://127.0.0.1:6443', ca: 'the authority' };
  const userOf = (text: string) => JSON.parse(text).users[0].user;

  it('holds a client certificate and everything else that it needs', () => {
    const text = kubeconfigText(endpoint, { cert: 'a certificate', key: 'a key' });
    expect(JSON.parse(text).clusters[0].cluster).toEqual({
      server: 'https://127.0.0.1:6443',
      'certificate-authority-data': Buffer.from('the authority').toString('base64'),
    });
    expect(userOf(text)).toEqual({
      'client-certificate-data': Buffer.from('a certificate').toString('base64'),
      'client-key-data': Buffer.from('a key').toString('base64'),
    });
  });

  it('holds a token', () => {
    expect(userOf(kubeconfigText(endpoint, { token: 'a token' }))).toEqual({ token: 'a token' });
  });
});

describe('the subject of a certificate', () => {
  it.each([
    [{ commonName: 'alice' }, '/CN=alice'],
    [
      { commonName: 'system:node:node-0', organizations: ['system:nodes'] },
      '/O=system:nodes/CN=system:node:node-0',
    ],
    [{ commonName: 'a/CN=admin', organizations: ['b+c'] }, String.raw`/O=b\+c/CN=a\/CN=admin`],
  ])('is written so that no name adds to it', (subject, expected) => {
    expect(opensslSubject(subject)).toBe(expected);
  });
});
