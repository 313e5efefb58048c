/**
 * `make image`: builds the image as an OCI archive; or, in the Dockerfile, writes its files into folders.
 *
 * Usage: node .tools/image/main.ts [--name NAME] [--out FOLDER] [--revision COMMIT] | --folders FOLDER
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../sources.ts';
import { writeFolder } from './folder.ts';
import { buildImage, imageLayers } from './image.ts';

const { values } = parseArgs({
  options: {
    name: { type: 'string' },
    out: { type: 'string', default: join(ROOT, 'dist') },
    revision: { type: 'string' },
    folders: { type: 'string' },
  },
});

if (values.folders === undefined) {
  const startedMs = performance.now();
  const { name, revision } = values;
  const image = buildImage({
    outFolder: values.out,
    ...(name === undefined ? {} : { name }),
    ...(revision === undefined ? {} : { revision }),
  });
  process.stdout.write(
    [
      `archive  ${image.archivePath}`,
      `name     ${image.name}`,
      `digest   ${image.digest}`,
      `image id ${image.imageId}`,
      `size     ${(image.sizeBytes / 1e6).toFixed(1)} MB, built in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
      '',
    ].join('\n'),
  );
} else {
  for (const { title, entries } of imageLayers()) writeFolder(entries, join(values.folders, title));
}
