import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { generatedFiles, withParts } from './generate.ts';

const ROOT = new URL('../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');
const MARK = (name: string): string => `<!-- made by crds/generate.ts: ${name} -->\n`;

describe('the generated files', () => {
  it.each(['crds/encryptedbuckets.yaml', 'crds/kmsconnections.yaml', 'docs/custom-resources.md'])(
    '%s is what the generator writes',
    (path) => {
      expect(read(path)).toBe(generatedFiles().get(path));
    },
  );

  it('read the same as YAML 1.1, which Kubernetes reads, and as YAML 1.2', () => {
    for (const [path, text] of generatedFiles()) {
      if (!path.endsWith('.yaml')) continue;
      const old: unknown = parse(text, { version: '1.1' });
      expect(JSON.parse(JSON.stringify(old))).toEqual(parse(text, { version: '1.2' }));
      expect(text).not.toMatch(/[&*]a\d/);
    }
  });

  it('have a row for each field of both kinds', () => {
    const rows = [...read('docs/custom-resources.md').matchAll(/^\| `((?:spec|status)\.[^`]+)` \|/gm)];
    const paths = rows.map(([, path = '']) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        'spec.kmip.endpoints[].serverName',
        'spec.allowedNamespaces.selector.matchExpressions[].values',
        'spec.access[].overlap',
        'status.keyVersions[].kmsConnectionRef.namespace',
      ]),
    );
    expect(paths.filter((path) => /^spec\.(?:quota|lifecycle|versioning|objectLock)/.test(path))).toEqual([]);
  });
});

describe('withParts()', () => {
  const parts = new Map([
    ['one', 'new'],
    ['two', 'other'],
  ]);

  it('renews what stands between the marks, and nothing else', () => {
    const page = `a\n${MARK('one')}old\n<!-- end -->\nb\n${MARK('two')}<!-- end -->\nc`;
    const renewed = `a\n${MARK('one')}\nnew\n\n<!-- end -->\nb\n${MARK('two')}\nother\n\n<!-- end -->\nc`;
    expect(withParts(page, parts)).toBe(renewed);
    expect(withParts(renewed, parts)).toBe(renewed);
  });

  it.each([
    ['a part without a place', `${MARK('one')}<!-- end -->`, /no place for two/],
    ['a place without a part', `${MARK('three')}<!-- end -->`, /"three", which is not made/],
  ])('refuses %s', (_, page, message) => {
    expect(() => withParts(page, parts)).toThrow(message);
  });
});

describe('the admission policies', () => {
  it('fail closed, and their binding denies', () => {
    const [policy, binding] = parseAllDocuments(read('crds/policies.yaml')).map(
      (document) => document.toJS() as unknown,
    );
    const name = z.object({ metadata: z.object({ name: z.string() }) }).parse(policy).metadata.name;
    expect(policy).toMatchObject({ kind: 'ValidatingAdmissionPolicy', spec: { failurePolicy: 'Fail' } });
    expect(binding).toMatchObject({
      kind: 'ValidatingAdmissionPolicyBinding',
      spec: { policyName: name, validationActions: ['Deny'] },
    });
  });
});
