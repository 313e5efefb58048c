/**
 * Writes docs/admin-api.openapi.json, or with --check ends with 1 when it is not what would be written.
 *
 * Usage: node dataplane/admin/openApiFile.ts [--check]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { openApiDocument } from './openApi.ts';

/** The committed copy. */
export const OPENAPI_FILE = new URL('../../docs/admin-api.openapi.json', import.meta.url);

/** The text of the document's file. */
export function openApiText(): string {
  return `${JSON.stringify(openApiDocument(), null, 2)}\n`;
}

if (import.meta.main) {
  const text = openApiText();
  if (!process.argv.includes('--check')) {
    writeFileSync(OPENAPI_FILE, text);
  } else if (readFileSync(OPENAPI_FILE, 'utf8') !== text) {
    process.stderr.write(
      'docs/admin-api.openapi.json is not up to date: run node dataplane/admin/openApiFile.ts\n',
    );
    process.exitCode = 1;
  }
}
