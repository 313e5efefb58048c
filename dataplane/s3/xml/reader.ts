/**
 * Reads request documents into a small element tree. Owns the limits that keep hostile XML cheap; it must not know
 * any document's shape. Attributes and namespaces are ignored; document types and entities of one's own are refused.
 */
import { isUtf8 } from 'node:buffer';
import { SaxesParser } from 'saxes';
import { S3Error } from '../errors.ts';

export interface XmlElement {
  /** Without namespace prefix. */
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** The element's own character data, untrimmed, without that of its children. */
  readonly text: string;
}

interface XmlLimits {
  readonly maxBytes: number;
  readonly maxElements: number;
  /** The root alone is 1. */
  readonly maxDepth: number;
}

interface OpenElement {
  readonly name: string;
  readonly children: OpenElement[];
  text: string;
}

/**
 * Parses one document of well-formed UTF-8; the error never repeats any of it.
 *
 * @throws S3Error MaxMessageLengthExceeded over maxBytes; MalformedXML otherwise
 */
export function parseXml(bytes: Uint8Array, limits: XmlLimits): XmlElement {
  if (bytes.length > limits.maxBytes) throw new S3Error('MaxMessageLengthExceeded');
  if (!isUtf8(bytes)) throw new S3Error('MalformedXML');
  const open: OpenElement[] = [];
  let root: OpenElement | null = null;
  let elements = 0;
  const parser = new SaxesParser({ position: false });
  parser.on('error', (cause) => {
    throw new S3Error('MalformedXML', undefined, { cause });
  });
  parser.on('doctype', () => {
    throw new S3Error('MalformedXML');
  });
  parser.on('xmldecl', ({ encoding }) => {
    if (encoding !== undefined && !/^(?:utf-8|us-ascii)$/i.test(encoding)) throw new S3Error('MalformedXML');
  });
  parser.on('opentag', (tag) => {
    elements += 1;
    if (elements > limits.maxElements || open.length >= limits.maxDepth) throw new S3Error('MalformedXML');
    const element: OpenElement = { name: tag.name.slice(tag.name.indexOf(':') + 1), children: [], text: '' };
    const parent = open.at(-1);
    if (parent === undefined) root = element;
    else parent.children.push(element);
    open.push(element);
  });
  const append = (text: string): void => {
    const element = open.at(-1);
    if (element !== undefined) element.text += text;
  };
  parser.on('text', append);
  parser.on('cdata', append);
  parser.on('closetag', () => {
    open.pop();
  });
  parser.write(new TextDecoder().decode(bytes)).close();
  if (root === null) throw new S3Error('MalformedXML');
  return root;
}

/** The one child of that name, null when there is none; more than one is MalformedXML. */
export function onlyChild(element: XmlElement, name: string): XmlElement | null {
  const found = element.children.filter((child) => child.name === name);
  if (found.length > 1) throw new S3Error('MalformedXML');
  return found[0] ?? null;
}

/** The text of the one child of that name, which must have no elements of its own; null when there is none. */
export function childText(element: XmlElement, name: string): string | null {
  const child = onlyChild(element, name);
  if (child === null) return null;
  if (child.children.length > 0) throw new S3Error('MalformedXML');
  return child.text;
}

/** Refuses children whose names are not among `allowed`, and character data between elements. */
export function requireShape(element: XmlElement, allowed: readonly string[]): void {
  if (element.text.trim() !== '') throw new S3Error('MalformedXML');
  if (element.children.some((child) => !allowed.includes(child.name))) throw new S3Error('MalformedXML');
}

/** `true` or `false` (any case) or `1` or `0`; null stays null. */
export function parseBoolean(text: string | null): boolean | null {
  if (text === null) return null;
  const word = text.trim().toLowerCase();
  if (word === 'true' || word === '1') return true;
  if (word === 'false' || word === '0') return false;
  throw new S3Error('MalformedXML');
}
