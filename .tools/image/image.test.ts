import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT, readSource } from '../sources.ts';
import { appLayer, isShipped, productOf } from './appLayer.ts';
import { layerOf } from './blobs.ts';
import { bytesOf, type Entry, file } from './entries.ts';
import { writeFolder } from './folder.ts';
import { architectureOf, containerSettings, imageConfig } from './imageConfig.ts';
import { loadedPaths, ownersIn } from './libraries.ts';
import { manifestOf, tagOf } from './ociArchive.ts';
import { isNeeded, packageEntries } from './packages.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealgate-image-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A folder with these files in it. */
function folderOf(name: string, files: Readonly<Record<string, string>>): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name, path)), { recursive: true });
    writeFileSync(join(folder, name, path), content);
  }
  return join(folder, name);
}

describe('the image of the Dockerfile', () => {
  it('starts as that of `make image` does', () => {
    const { User, Env, Entrypoint, WorkingDir, Labels } = containerSettings(productOf(ROOT));
    const last = readSource('Dockerfile').split('\nFROM scratch\n')[1] ?? '';
    expect(last.trimEnd().split('\n')).toEqual([
      'COPY --from=build /image/runtime/ /',
      'COPY --from=build /image/app/ /',
      ...Env.map((setting) => `ENV ${setting}`),
      `USER ${User}`,
      `WORKDIR ${WorkingDir}`,
      ...Object.entries(Labels).map(([name, value]) => `LABEL ${name}=${JSON.stringify(value)}`),
      `ENTRYPOINT [${Entrypoint.map((word) => JSON.stringify(word)).join(', ')}]`,
    ]);
  });

  it('gives Node.js what the launcher gives it', () => {
    const { Entrypoint, Env } = containerSettings(productOf(ROOT));
    const launcher = readSource('dataplane/sealgate');
    const options = /exec "\$node" (.+) "\$here\/main\.ts"/.exec(launcher)?.[1]?.split(' ');
    expect(Entrypoint.slice(1, -1)).toEqual(options);
    const arenas = /MALLOC_ARENA_MAX:-(\d+)/.exec(launcher)?.[1];
    expect(Env).toContain(`MALLOC_ARENA_MAX=${arenas}`);
    const exported = [...launcher.matchAll(/export (\w+)=/g)].map(([, name]) => name);
    expect(exported).toEqual(['NODE_COMPILE_CACHE', 'MALLOC_ARENA_MAX']);
  });
});

describe('the layer of the application', () => {
  it('has sources without types under their own names, and neither tests nor what only they need', () => {
    const root = folderOf('project', {
      'package.json': '{"version": "1.2.3", "description": "d", "license": "Apache-2.0", "scripts": {}}',
      LICENSE: 'free',
      'dataplane/main.ts': "import { x } from './x.ts';\nexport const y: number = x;\n",
      'dataplane/x.ts': 'export const x = 1;\n',
      'dataplane/x.test.ts': 'fails',
      'dataplane/x.testkit.ts': 'fails',
      'dataplane/sealgate': '#!/bin/sh',
      'dataplane/vectors/a.json': '{}',
      'crds/generated/a.yaml': 'a: 1\n',
      'e2e/a.ts': 'fails',
      'modules/pkg/index.js': 'export {};',
      'modules/pkg/README.md': '',
    });
    const entries = appLayer(root, join(root, 'modules'));
    expect(entries.map(({ path }) => path).toSorted()).toEqual([
      'app/LICENSE',
      'app/crds/generated/a.yaml',
      'app/dataplane/main.js',
      'app/dataplane/main.ts',
      'app/dataplane/x.js',
      'app/dataplane/x.ts',
      'app/node_modules/pkg/index.js',
      'app/package.json',
    ]);
    const main = entries.find(({ path }) => path === 'app/dataplane/main.js');
    expect(main?.kind === 'file' ? bytesOf(main).toString() : '').toBe(
      "import { x } from './x.ts';\nexport const y         = x;\n",
    );
    expect(entries).toContainEqual({ kind: 'link', path: 'app/dataplane/main.ts', target: 'main.js' });
  });

  it.each([
    ['s3/router.ts', true],
    ['generated/openapi.json', true],
    ['s3/router.test.ts', false],
    ['s3/server.testkit.ts', false],
    ['crypto/vectors/generate.ts', false],
    ['s3/xml/golden/error.xml', false],
    ['golden/pod.yaml', false],
    ['node_modules/x/index.ts', false],
    ['types.d.ts', false],
    ['notes.md', false],
    ['secret.pem', false],
  ])('of the source %s: shipped is %s', (path, expected) => {
    expect(isShipped(path)).toBe(expected);
  });

  it.each([
    ['index.js', true],
    ['dist/doc/Document.js', true],
    ['lib/test.js', true],
    ['LICENSE', true],
    ['NOTICE.txt', true],
    ['package.json', true],
    ['test/a.js', false],
    ['docs/a.js', false],
    ['.github/a.yml', false],
    ['.npmrc', false],
    ['index.d.ts', false],
    ['index.d.cts', false],
    ['src/index.ts', false],
    ['dist/a.js.map', false],
    ['README.md', false],
    ['inc-version.sh', false],
    ['eslint.config.js', false],
  ])('of the file %s of a package: needed is %s', (path, expected) => {
    expect(isNeeded(path)).toBe(expected);
  });

  it('judges files of scoped and nested packages from their own folder', () => {
    const modules = folderOf('modules', {
      '@scope/name/test/a.js': '',
      '@scope/name/lib/a.js': '',
      'outer/node_modules/inner/test/a.js': '',
      'outer/node_modules/inner/a.js': '',
      'test/index.js': '',
      '.package-lock.json': '{}',
      '.bin/tool': '',
    });
    const paths = packageEntries(modules, 'm').map(({ path }) => path);
    expect(paths.toSorted()).toEqual([
      'm/@scope/name/lib/a.js',
      'm/outer/node_modules/inner/a.js',
      'm/test/index.js',
    ]);
  });
});

describe('libraries', () => {
  it('are read from what ldd says', () => {
    const lines =
      '\tlinux-vdso.so.1 (0x00007f67cd28d000)\n' +
      '\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f67ccf20000)\n' +
      '\t/lib64/ld-linux-x86-64.so.2 (0x00007f67cd28f000)\n';
    expect(loadedPaths(lines)).toEqual(['/lib/x86_64-linux-gnu/libm.so.6', '/lib64/ld-linux-x86-64.so.2']);
  });

  it('have the packages that dpkg names', () => {
    const lines = 'libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6\nlibstdc++6:amd64: /usr/lib/libstdc++.so.6\n';
    expect([...ownersIn(lines)]).toEqual([
      ['/lib/x86_64-linux-gnu/libc.so.6', 'libc6:amd64'],
      ['/usr/lib/libstdc++.so.6', 'libstdc++6:amd64'],
    ]);
  });
});

describe('an image', () => {
  const settings = containerSettings({ version: '1.0.0', description: 'd', license: 'Apache-2.0' }, 'abc');
  const entries = [file('a', Buffer.from('a'.repeat(1000)))];

  it('has layers that are compressed once and counted before and after', () => {
    const cache = join(folder, 'blobs');
    const first = layerOf('app', entries, cache);
    expect(first.diffId).not.toBe(first.blob.digest);
    expect(layerOf('app', entries, cache)).toEqual(first);
    expect(layerOf('app', entries, join(folder, 'others'))).toEqual(first);
    expect(layerOf('app', [file('a', Buffer.from('b'))], cache).diffId).not.toBe(first.diffId);
  });

  it('has a user by number, a time that never changes, and the commit where it is known', () => {
    const layer = layerOf('app', entries, join(folder, 'blobs'));
    const config = imageConfig(settings, 'amd64', [layer]);
    expect(config).toMatchObject({
      created: '1970-01-01T00:00:00.000Z',
      architecture: 'amd64',
      os: 'linux',
      config: { User: '65532:0', Labels: { 'org.opencontainers.image.revision': 'abc' } },
      rootfs: { type: 'layers', diff_ids: [layer.diffId] },
    });
    const { manifest } = manifestOf(config, [layer]);
    expect(JSON.parse(manifest.content.toString())).toMatchObject({
      layers: [{ digest: layer.blob.digest, size: layer.blob.content.length }],
    });
  });

  it.each([
    ['sealgate.test/sealgate:1.0.0', '1.0.0'],
    ['localhost:5000/team/sealgate:a_b-c', 'a_b-c'],
    ['registry.example.com:5000/sealgate:1', '1'],
  ])('%s has a tag', (name, tag) => {
    expect(tagOf(name)).toBe(tag);
  });

  it.each(['sealgate:1', 'local/sealgate:1', 'sealgate.test/sealgate', 'Sealgate.test/x:1', 'a.b/c:..', ''])(
    'cannot be called %j',
    (name) => {
      expect(() => tagOf(name)).toThrow("an image's name is like");
    },
  );

  it('is built for the architectures that Node.js is pinned for', () => {
    expect(['x64', 'arm64'].map(architectureOf)).toEqual(['amd64', 'arm64']);
    expect(() => architectureOf('s390x')).toThrow('no image is built for the architecture s390x');
  });

  it('is written as folders with the same modes and links, whatever the umask', () => {
    const umask = process.umask(0o077);
    try {
      const all: Entry[] = [
        { kind: 'folder', path: 'tmp', mode: 0o1777 },
        file('bin/run', Buffer.from('x'), 0o711),
        { kind: 'link', path: 'bin/walk', target: 'run' },
      ];
      const written = join(folder, 'written');
      writeFolder(all, written);
      const modes = ['tmp', 'bin', 'bin/run'].map((path) => statSync(join(written, path)).mode & 0o7777);
      expect(modes).toEqual([0o1777, 0o755, 0o711]);
      expect(readlinkSync(join(written, 'bin/walk'))).toBe('run');
      expect(readFileSync(join(written, 'bin/walk'), 'utf8')).toBe('x');
    } finally {
      process.umask(umask);
    }
  });
});
