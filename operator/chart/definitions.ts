/** The chart's copies of the custom resources and of their admission policies. */
import { isMap, parseAllDocuments } from 'yaml';

/**
 * Objects that Helm leaves when the release goes. With a definition would go every resource, and without the policies any
 * editor could destroy what stays; both serve every installation in the cluster.
 */
export function keptObjects(text: string): string {
  const documents = parseAllDocuments(text, { version: '1.1' });
  return documents
    .map((document) => {
      if (!isMap(document.contents)) throw new Error('is no Kubernetes object');
      document.setIn(['metadata', 'annotations'], document.createNode({ 'helm.sh/resource-policy': 'keep' }));
      return document.toString({ lineWidth: 0, flowCollectionPadding: false });
    })
    .join('');
}
