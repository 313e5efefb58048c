/** Commands in pages of docs/: those in blocks marked `sh` can be run as they are, in their order. Pure. */

export interface DocumentedStep {
  /** The heading that it stands under. */
  readonly heading: string;
  readonly commands: string;
}

const HEADING = /^#+ (.+)$/;

/** The steps of a page, in order. */
export function stepsOf(page: string): DocumentedStep[] {
  return blocksOf(page).flatMap(({ language, heading, text }) =>
    language === 'sh' ? [{ heading, commands: text }] : [],
  );
}

/** Every block of code with its language ('' for none), the heading that it stands under and its text. */
export function blocksOf(page: string): { language: string; heading: string; text: string }[] {
  const blocks: { language: string; heading: string; text: string }[] = [];
  let heading = '';
  let open: { language: string; heading: string; lines: string[] } | null = null;
  for (const line of page.split('\n')) {
    if (open === null) {
      heading = HEADING.exec(line)?.[1] ?? heading;
      if (line.startsWith('```')) open = { language: line.slice(3).trim(), heading, lines: [] };
    } else if (line === '```') {
      blocks.push({ language: open.language, heading: open.heading, text: open.lines.join('\n') });
      open = null;
    } else open.lines.push(line);
  }
  return blocks;
}
