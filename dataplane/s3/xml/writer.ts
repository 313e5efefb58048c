/**
 * Writes XML as S3 sends it. Owns escaping and the frame of a document; it must not know any document's shape.
 */

/** First line of every document; a document's text begins with it. */
export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** One element. null stands for an optional element that is left out; `''` and `[]` are an empty element. */
export type XmlNode = readonly [name: string, content: XmlContent] | null;
type XmlContent = string | number | boolean | readonly XmlNode[];

/**
 * A whole document in S3's namespace, or in none as S3 writes errors and form results.
 *
 * @param root the root element's name; names are the caller's own words and are not escaped
 */
export function xml(
  root: string,
  content: XmlContent,
  options: { readonly namespace: boolean } = { namespace: true },
): string {
  const attribute = options.namespace ? ` xmlns="${NAMESPACE}"` : '';
  return XML_DECLARATION + element(root, attribute, content);
}

/** As S3 lists times: ISO 8601 in UTC, whole seconds with `.000`. `ms` since the epoch. */
export function isoTime(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString();
}

/**
 * Escapes character data. Control characters become decimal references, as S3 does: a parser then gives back the
 * carriage return that was in the key; the ones that XML 1.0 has no place for need encoding-type=url.
 */
function escapeText(text: string): string {
  return text.replace(SPECIAL, (character) => ESCAPES[character] ?? `&#${character.charCodeAt(0)};`);
}

const SPECIAL = /[&<>"\u0000-\u001f\ufffe\uffff]/g;
const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function element(name: string, attributes: string, content: XmlContent): string {
  const inner = typeof content === 'object' ? children(content) : escapeText(String(content));
  return inner === '' ? `<${name}${attributes}/>` : `<${name}${attributes}>${inner}</${name}>`;
}

function children(nodes: readonly XmlNode[]): string {
  let text = '';
  for (const node of nodes) if (node !== null) text += element(node[0], '', node[1]);
  return text;
}
