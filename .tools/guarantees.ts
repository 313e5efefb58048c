/**
 * The table rows of docs/guarantees.md: `| promise | proof | status |`.
 *
 * A proof is a list, parted by `<br>`, of commands (`` `make demo` ``) and of tests (`` `path: name` ``), where the
 * name is the text in the source; for a table of tests that is the template, such as `%s is refused`.
 */
export interface Guarantee {
  readonly line: number;
  readonly promise: string;
  readonly proofs: readonly string[];
  readonly status: string;
}

/** @throws when a row has not three cells, or a proof is not written as code */
export function parseGuarantees(page: string): Guarantee[] {
  const rows = page
    .split('\n')
    .flatMap((text, index) => (text.startsWith('| ') ? [{ text, line: index + 1 }] : []));
  return rows
    .filter(({ text }) => !/^\| (?:---|promise \|)/.test(text))
    .map(({ text, line }) => {
      const cells = text
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('\\|', '|'));
      const [promise, proof, status] = cells;
      if (cells.length !== 3 || promise === undefined || proof === undefined || status === undefined) {
        throw new Error(`docs/guarantees.md:${line} has ${cells.length} cells instead of 3`);
      }
      const proofs = proof === '' ? [] : proof.split('<br>').map((one) => unquote(one.trim(), line));
      return { line, promise, proofs, status };
    });
}

function unquote(proof: string, line: number): string {
  const code = /^`(.+)`$/.exec(proof)?.[1];
  if (code === undefined) throw new Error(`docs/guarantees.md:${line}: not written as code: ${proof}`);
  return code;
}

/** Sources that a proof can name, looked up by path; undefined = no such file. */
export type Lookup = (path: string) => string | undefined;

/** What is wrong with one proof; null = it exists. */
export function missing(proof: string, source: Lookup): string | null {
  const target = /^make ([a-z]+)/.exec(proof)?.[1];
  if (target !== undefined) {
    const found = new RegExp(`^${target}:`, 'm').test(source('Makefile') ?? '');
    return found ? null : `the Makefile has no target ${target}`;
  }
  const [, path, name] = /^([\w./-]+\.test\.ts): (.+)$/.exec(proof) ?? [];
  if (path === undefined || name === undefined) return `neither a command nor a test: ${proof}`;
  const text = source(path);
  if (text === undefined) return `no such file: ${path}`;
  // A literal that is the first of a call's arguments: it('…', …), it.each(…)('…', …).
  const names = [...text.matchAll(/\(\s*(['"`])((?:\\.|(?!\1).)*)\1\s*,/g)].map((match) =>
    unescape(match[2] ?? ''),
  );
  return names.includes(name) ? null : `${path} has no test of the name: ${name}`;
}

function unescape(literal: string): string {
  return literal.replaceAll(/\\(['"`\\])/g, '$1');
}
