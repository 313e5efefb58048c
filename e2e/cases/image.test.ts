import { spawnSync } from 'node:child_process';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BuiltImage, buildImage } from '../../.tools/image/image.ts';
import { createBucket, sdkClient } from '../harness/clients.ts';
import { containerCommand, type ImageRoot, readIndex, unpackImage } from '../harness/imageRoot.ts';
import { startPykmip } from '../harness/pykmip.ts';
import { startSealgate } from '../harness/sealgate.ts';

const MEGABYTE = 1_000_000;
const NODE = 'usr/bin/node';

let folder: string;
let built: BuiltImage;
let image: ImageRoot;
let paths: string[];

beforeAll(() => {
  if (process.getuid?.() !== 0)
    throw new Error('the image is tried with chroot and mounts, which needs root');
  folder = mkdtempSync(join(tmpdir(), 'sealgate-image-'));
  built = buildImage({ outFolder: join(folder, 'archive') });
  image = unpackImage(built.archivePath, folder);
  paths = readdirSync(image.root, { recursive: true, encoding: 'utf8' });
});

afterAll(() => rmSync(folder, { recursive: true }));

function modeOf(path: string): number {
  return lstatSync(join(image.root, path)).mode & 0o7777;
}

function isLink(path: string): boolean {
  return lstatSync(join(image.root, path)).isSymbolicLink();
}

/** Runs the image's program to its end. */
function run(args: readonly string[], user?: string) {
  const work = mkdtempSync(join(folder, 'run-'));
  const [program = '', ...before] = containerCommand(image, work, user);
  const { status, stdout, stderr } = spawnSync(program, [...before, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('the image', () => {
  test('is the same, byte for byte, when it is built again with an empty cache', () => {
    const again = buildImage({ outFolder: join(folder, 'again'), cacheFolder: join(folder, 'cache') });
    expect({ ...again, archivePath: '' }).toEqual({ ...built, archivePath: '' });
    expect(readFileSync(again.archivePath).equals(readFileSync(built.archivePath))).toBe(true);
  });

  test('is called what it is asked to be called, and stays the same image', () => {
    const name = 'registry.example.com/team/sealgate:next';
    const other = buildImage({ outFolder: join(folder, 'other'), name });
    expect([other.name, other.digest]).toEqual([name, built.digest]);
    expect(readIndex(other.archivePath)).toEqual({
      annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': 'next' },
      digest: built.digest,
    });
  });

  test('has a default name of its version and its content', () => {
    expect(built.name).toBe(
      `sealgate.test/sealgate:${image.settings.Labels['org.opencontainers.image.version']}-${built.imageId.slice(7, 19)}`,
    );
    expect(image.annotations['io.containerd.image.name']).toBe(built.name);
    expect(built.digest).toBe(image.digest);
  });

  test('belongs to root, gives nobody more than root has, and can be written by nobody else', () => {
    expect(paths.filter((path) => !isLink(path) && (modeOf(path) & 0o6022) !== 0)).toEqual(['tmp']);
    expect(modeOf('tmp')).toBe(0o1777);
    const owners = paths
      .map((path) => lstatSync(join(image.root, path)))
      .map(({ uid, gid }) => `${uid}:${gid}`);
    expect([...new Set(owners)]).toEqual(['0:0']);
  });

  test('can be read by every user, but for the program itself, which runs for everyone', () => {
    const unreadable = paths.filter((path) => {
      const wanted = statSync(join(image.root, path)).isDirectory() ? 0o555 : 0o444;
      return !isLink(path) && (modeOf(path) & wanted) !== wanted;
    });
    expect(unreadable).toEqual([NODE]);
    expect(modeOf(NODE)).toBe(0o711);
  });

  test('has no program but Node.js: no shell, no package manager, no build tool', () => {
    const programs = paths.filter((path) => {
      const found = lstatSync(join(image.root, path));
      return found.isFile() && (found.mode & 0o111) !== 0 && !/\.so(?:\.\d+)*$/.test(path);
    });
    expect(programs).toEqual([NODE]);
    const elf = paths.filter((path) => lstatSync(join(image.root, path)).isFile() && isElf(path));
    expect(elf.filter((path) => path !== NODE && !/\.so\.\d+$/.test(path))).toEqual([]);
  });

  test('has no test, no type declaration, no source map, and no package of development', () => {
    expect(
      paths.filter((path) => /\.(?:test|testkit)\.[jt]s$|\.d\.[cm]?ts$|\.map$|\.md$|\.sh$/.test(path)),
    ).toEqual([]);
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: object };
    const packages = readdirSync(join(image.root, 'app/node_modules'));
    expect(packages).toEqual(
      expect.arrayContaining(Object.keys(dependencies).map((name) => name.split('/')[0])),
    );
    expect(packages.filter((name) => /^(?:vitest|typescript|@types|@aws-sdk|npm)$/.test(name))).toEqual([]);
  });

  test('is less than 60 MB to fetch', () => {
    expect(built.sizeBytes).toBeLessThan(60 * MEGABYTE);
  });
});

function isElf(path: string): boolean {
  const start = Buffer.alloc(4);
  const opened = openSync(join(image.root, path), 'r');
  readSync(opened, start, 0, 4, 0);
  closeSync(opened);
  return start.equals(Buffer.from('\x7fELF', 'latin1'));
}

describe('a container of the image', () => {
  test.each(['65532:0', '1000650000:0'])('runs as %s, with a root that it cannot write', (user) => {
    const { status, stdout, stderr } = run(['version'], user);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^sealgate \d+\.\d+\.\d+ \(node 24\.\d+\.\d+, openssl 3\.\d+\.\d+\)\n$/);
  });

  test('prints a configuration', () => {
    const { status, stdout, stderr } = run(['config', 'example']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('kind: DataPlane');
  });

  test('serves an encrypted bucket, leaves no core, and ends in order', async () => {
    const work = join(folder, 'work');
    mkdirSync(work);
    const kms = await startPykmip({ folder: join(work, 'kms') });
    const { ca, clientCert: cert, clientKey: key } = kms.certificates;
    const command = containerCommand(image, work);
    const server = await startSealgate({
      folder: join(work, 'sealgate'),
      kms: { port: kms.port, certificates: { ca, cert, key } },
      wrapper: command.slice(0, -1),
      launcher: command.at(-1) ?? '',
    }).catch(async (error: unknown) => {
      await kms.kill();
      throw error;
    });
    try {
      const s3 = sdkClient(server);
      await createBucket(server, 'encrypted', true);
      await s3.send(new PutObjectCommand({ Bucket: 'encrypted', Key: 'a', Body: 'from a container' }));
      const { Body, ServerSideEncryption } = await s3.send(
        new GetObjectCommand({ Bucket: 'encrypted', Key: 'a' }),
      );
      expect([await Body?.transformToString(), ServerSideEncryption]).toEqual(['from a container', 'AES256']);
      s3.destroy();
      // The kernel gives what belongs to a process that may not be dumped to root.
      const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
      expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).toBe('65532');
      expect(statSync(`/proc/${server.pid}/environ`).uid).toBe(0);
      const spy = ['--userspec=65532:0', '--groups=', '/', 'head', '-c1', `/proc/${server.pid}/mem`];
      expect(spawnSync('chroot', spy, { encoding: 'utf8' }).stderr).toContain('Permission denied');
      expect(await server.stop()).toEqual({ code: 0, signal: null });
    } finally {
      await server.kill();
      await kms.kill();
    }
  });
});
