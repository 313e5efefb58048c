import { describe, expect, it } from 'vitest';
import { filesEndingIn, importsOf, readSource } from './sources.ts';

/** What each part may import of ours: folders or files, from the root. A part may always import itself. */
const MAY_IMPORT: ReadonlyMap<string, readonly string[]> = new Map([
  ['crds', []],
  ['dataplane', []],
  ['operator', ['crds/', 'dataplane/config/', 'dataplane/keys/', 'dataplane/admin/schema/']],
  ['e2e', ['crds/', 'dataplane/', 'operator/', '.tools/']],
  ['.tools', []],
  ['.config', []],
]);
const OURS = [...MAY_IMPORT.keys()].map((part) => `${part}/`);

/** The imports of one file that its part may not have. */
function forbidden(path: string, text: string): string[] {
  const part = path.slice(0, path.indexOf('/'));
  const allowed = [`${part}/`, ...(MAY_IMPORT.get(part) ?? [])];
  return importsOf(path, text).filter((target) => {
    if (part === 'dataplane' && target.startsWith('@kubernetes/')) return true;
    const ours = target.startsWith('..') || OURS.some((folder) => target.startsWith(folder));
    return ours && !allowed.some((prefix) => target.startsWith(prefix));
  });
}

describe('the import rule', () => {
  it.each(filesEndingIn('.ts').filter((path) => path !== '.tools/importRule.test.ts'))(
    '%s imports only what its part may import',
    (path) => {
      expect(forbidden(path, readSource(path))).toEqual([]);
    },
  );

  it.each([
    ['dataplane/s3/a.ts', "import { x } from '../../e2e/harness/sealgate.ts';", ['e2e/harness/sealgate.ts']],
    ['dataplane/s3/a.ts', "import type { x } from '../../operator/main.ts';", ['operator/main.ts']],
    ['dataplane/s3/a.ts', "import {\n  x,\n  y,\n} from '../../crds/a.ts';", ['crds/a.ts']],
    ['dataplane/a.ts', "import { KubeConfig } from '@kubernetes/client-node';", ['@kubernetes/client-node']],
    ['dataplane/a.ts', "export { x } from '../operator/x.ts';", ['operator/x.ts']],
    ['dataplane/a.ts', "const x = await import('../e2e/x.ts');", ['e2e/x.ts']],
    ['dataplane/a.ts', "new Worker(new URL('../e2e/x.ts', import.meta.url));", ['e2e/x.ts']],
    ['dataplane/a.ts', "import '../e2e/x.ts';", ['e2e/x.ts']],
    ['crds/a.ts', "import { x } from '../dataplane/keys/keys.ts';", ['dataplane/keys/keys.ts']],
    ['operator/a.ts', "import { x } from '../dataplane/s3/router.ts';", ['dataplane/s3/router.ts']],
    ['operator/a.ts', "import { x } from '../dataplane/config/schema.ts';", []],
    ['operator/a.ts', "import { x } from '../dataplane/admin/schema/status.ts';", []],
    ['dataplane/a.ts', "import { z } from 'zod';\nimport { x } from './b.ts';", []],
    ['e2e/a.ts', "import { x } from '../dataplane/main.ts';", []],
    ['dataplane/a.ts', "import { x } from '../../elsewhere/x.ts';", ['../elsewhere/x.ts']],
  ])('judges %s with %s', (path, text, expected) => {
    expect(forbidden(path, text)).toEqual(expected);
  });

  it('finds no folder for code without an owner', () => {
    const folders = filesEndingIn('.ts').flatMap((path) => path.split('/').slice(0, -1));
    expect(
      folders.filter((name) => ['shared', 'common', 'utils', 'helpers', 'lib', 'misc'].includes(name)),
    ).toEqual([]);
  });
});
