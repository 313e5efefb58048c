import { execFileSync } from 'node:child_process';
import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './sources.ts';

interface Rule {
  readonly name: string;
  readonly pattern: RegExp;
  readonly applies: (path: string) => boolean;
}

const isCode = (path: string): boolean => /\.(?:ts|js|py|sh)$/.test(path);
const everywhere = (): boolean => true;

// Patterns are written so that they do not match their own text.
const RULES: readonly Rule[] = [
  {
    name: 'a coverage pragma',
    pattern: /\b(?:v8|c8|istanbul|node:coverage)\s+(?:ignore|disable)/,
    applies: isCode,
  },
  { name: 'a type-check pragma', pattern: /@ts-(?:ignore|nocheck|expect-error)\b/, applies: isCode },
  {
    name: 'a lint or format pragma',
    pattern: /(?:biome-ignore (?!format: \w)|prettier-ignore\b|(?:oxlint|eslint)-disable\b)/,
    applies: isCode,
  },
  {
    name: 'a focused or skipped test',
    pattern: /\b(?:it|test|describe)\.(?:only|skip|todo|skipIf|runIf)\b/,
    applies: (path) => path.endsWith('.test.ts'),
  },
  {
    name: 'an unfinished part',
    pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/,
    applies: (path) => isCode(path) || path.endsWith('.md'),
  },
  {
    name: 'a sleep in a test',
    pattern: /\bsetTimeout\(\s*(?:resolve|done|r)\b|timers\/promises/,
    applies: (path) => path.endsWith('.test.ts'),
  },
  {
    name: 'a path of one machine',
    pattern: /(?<![\w.])\/(?:home|Users|root|work|opt)\/[\w.]/,
    applies: everywhere,
  },
  {
    name: 'a resolved address in the lock file',
    pattern: /"resolved":/,
    applies: (path) => path === 'package-lock.json',
  },
  {
    name: 'a registry address',
    pattern: /\bhttps?:\/\/[\w.-]*(?:registry|pypi|artifactory|nexus|verdaccio)[\w.-]*/i,
    applies: everywhere,
  },
  {
    name: 'a side of a merge that was never finished',
    pattern: /^(?:<{7}|>{7}) /m,
    applies: everywhere,
  },
  {
    name: 'private key material',
    pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\n[A-Za-z0-9+/]{16}/,
    applies: everywhere,
  },
];

/** The names of the rules that a file breaks, with the line of each first find. */
function broken(path: string, text: string): string[] {
  return RULES.filter((rule) => rule.applies(path)).flatMap((rule) => {
    const found = rule.pattern.exec(text);
    if (found === null) return [];
    const line = text.slice(0, found.index).split('\n').length;
    return [`${path}:${line} has ${rule.name}: ${found[0]}`];
  });
}

describe('files under version control', () => {
  const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' })
    .split('\0')
    .filter((path) => path !== '');

  it('hold no pragma, no path of one machine, no registry address, nothing unfinished and no private key', () => {
    expect(tracked.length).toBeGreaterThan(0);
    const here = '.tools/tracked.test.ts';
    const present = tracked.filter(
      (path) => path !== here && lstatSync(join(ROOT, path), { throwIfNoEntry: false })?.isFile(),
    );
    expect(present.flatMap((path) => broken(path, readFileSync(join(ROOT, path), 'utf8')))).toEqual([]);
  });

  it('hold no installed, generated or private file', () => {
    expect(
      tracked.filter((path) =>
        /(?:^|\/)(?:node_modules|coverage|\.demo|__pycache__)\/|\.(?:log|pem|key|p12|db)$/.test(path),
      ),
    ).toEqual([]);
  });

  it.each([
    ['a.ts', '/* v8 ignore next */', 'a coverage pragma'],
    ['a.ts', '// @ts-ignore', 'a type-check pragma'],
    ['a.ts', '// biome-ignore lint: because', 'a lint or format pragma'],
    ['a.ts', '// oxlint-disable-next-line', 'a lint or format pragma'],
    ['a.test.ts', "it.skip('x', () => {});", 'a focused or skipped test'],
    ['a.ts', '// TODO: later', 'an unfinished part'],
    ['a.test.ts', 'await new Promise((resolve) => setTimeout(resolve, 10));', 'a sleep in a test'],
    ['a.json', '"/home/me/x"', 'a path of one machine'],
    ['package-lock.json', '"resolved": "x"', 'a resolved address in the lock file'],
    ['a.npmrc', 'registry=https://registry.example.com/', 'a registry address'],
    ['a.md', `line\n${'<'.repeat(7)} HEAD\n`, 'a side of a merge that was never finished'],
    ['a.txt', '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ', 'private key material'],
  ])('%s with %s is found', (path, text, name) => {
    expect(broken(path, text)).toEqual([expect.stringContaining(`has ${name}`)]);
  });

  it.each([
    ['a.ts', 'const path = `/${bucket}/root`;'],
    ['a.md', 'see docs/work/notes'],
    ['a.ts', 'setTimeout(() => socket.destroy(), limitMs)'],
  ])('%s with %s is clean', (path, text) => {
    expect(broken(path, text)).toEqual([]);
  });
});
