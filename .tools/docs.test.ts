import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, readSource } from './sources.ts';

/** Targets of relative links in a page, as paths from the root. */
function linkedFrom(page: string, text: string): string[] {
  return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => join(dirname(page), target));
}

describe('the pages', () => {
  const pages = execFileSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' })
    .split('\n')
    .filter((page) => page !== '' && existsSync(join(ROOT, page)));

  it.each(pages)('%s links only to what is there', (page) => {
    expect(linkedFrom(page, readSource(page)).filter((target) => !existsSync(join(ROOT, target)))).toEqual(
      [],
    );
  });

  it('are all reached from the README', () => {
    const reached = new Set(['README.md']);
    for (const page of reached) {
      const folderOrPage = linkedFrom(page, readSource(page));
      for (const target of folderOrPage) {
        const file = pages.includes(join(target, 'README.md')) ? join(target, 'README.md') : target;
        if (pages.includes(file)) reached.add(file);
      }
    }
    expect(pages.filter((page) => !reached.has(page))).toEqual([]);
  });

  it('have targets make knows, wherever they say `make x`', () => {
    const targets = new Set([...readSource('Makefile').matchAll(/^([a-z-]+):/gm)].map(([, name]) => name));
    const named = pages.flatMap((page) =>
      [...readSource(page).matchAll(/`make ([a-z-]+)/g)].map(([, name = '']) => ({ page, name })),
    );
    expect(named.filter(({ name }) => !targets.has(name))).toEqual([]);
  });
});
