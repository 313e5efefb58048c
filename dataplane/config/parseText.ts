import { LineCounter, parseDocument } from 'yaml';
import { ConfigError } from './errors.ts';

/** JSON is read as the YAML that it is. Throws ConfigError 'Unreadable' that names the line. */
export function parseText(file: string, text: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return { path: '', message: `line ${line}, column ${col}: ${error.message}` };
    });
    throw new ConfigError('Unreadable', file, problems);
  }
  try {
    return document.toJS({ maxAliasCount: 20 });
  } catch (error) {
    throw new ConfigError('Unreadable', file, [{ path: '', message: 'too many YAML aliases' }], {
      cause: error,
    });
  }
}
