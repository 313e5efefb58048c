/** The chart's copies of the custom resources and of their admission policies. */
import { isMap, parseDocument } from 'yaml';

/** A CustomResourceDefinition that Helm leaves when the release goes: with it would go every resource. */
export function keptDefinition(text: string): string {
  const document = parseDocument(text, { version: '1.1' });
  if (!isMap(document.contents)) throw new Error('is no CustomResourceDefinition');
  document.setIn(['metadata', 'annotations'], document.createNode({ 'helm.sh/resource-policy': 'keep' }));
  return document.toString({ lineWidth: 0 });
}
