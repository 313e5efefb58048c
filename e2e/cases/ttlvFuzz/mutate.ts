/** KMIP messages changed at random: as trees, so that lengths still fit and deep code is reached, and then as bytes. */
import * as wire from '../../harness/scriptedKms/wire.ts';
import type { Random } from '../mutations/random.ts';

/** An item whose header may claim anything; lengths are made right when it is written. */
interface Node {
  readonly tag: number;
  readonly type: number;
  readonly body: Buffer | readonly Node[];
}

const STRUCTURE = 0x01;
/** Type codes, two that do not exist among them. */
const TYPES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] as const;
/** Lengths at which readers go wrong. */
const LENGTHS = [0, 1, 3, 4, 5, 7, 8, 9, 16, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff] as const;

function nodesIn(items: readonly wire.Item[]): Node[] {
  return items.map((item) => ({
    tag: item.tag,
    type: item.type,
    body: item.type === STRUCTURE ? nodesIn(item.items) : item.body,
  }));
}

function written({ tag, type, body }: Node): Buffer {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.concat(body.map(written));
  const padding = Buffer.alloc((8 - (bytes.length % 8)) % 8);
  return wire.raw(tag, type, bytes.length, Buffer.concat([bytes, padding]));
}

/** The tree with one node, chosen at random, replaced by what `change` makes of it. */
function replaced(node: Node, random: Random, change: (node: Node) => readonly Node[]): readonly Node[] {
  const { body } = node;
  if (Buffer.isBuffer(body) || body.length === 0 || random.int(4) === 0) return change(node);
  const at = random.int(body.length);
  return [
    { ...node, body: body.flatMap((child, i) => (i === at ? replaced(child, random, change) : [child])) },
  ];
}

/** Up to three words, none among them. */
const value = (random: Random): Buffer =>
  random.int(4) === 0 ? Buffer.alloc(0) : random.bytes(1 + random.int(24));

/** What may become of one item; `others` are items of other messages. */
function treeChange(random: Random, others: readonly Node[]): (node: Node) => readonly Node[] {
  const kind = random.int(8);
  return (node) => {
    switch (kind) {
      case 0:
        return [];
      case 1:
        return [node, node];
      case 2:
        return [{ ...node, type: random.pick(TYPES) }];
      case 3:
        return [random.pick(others)];
      case 4:
        return [{ ...node, tag: random.pick(others).tag }];
      case 5: {
        let nested = node;
        for (let depth = random.int(40); depth > 0; depth -= 1)
          nested = { tag: node.tag, type: STRUCTURE, body: [nested] };
        return [nested];
      }
      case 6:
        return [{ ...node, type: random.pick(TYPES), body: value(random) }];
      default:
        return [Buffer.isBuffer(node.body) ? { ...node, body: value(random) } : node];
    }
  };
}

function byteChange(bytes: Buffer, random: Random): Buffer {
  if (bytes.length < 8) return random.bytes(16);
  const at = random.int(bytes.length);
  const word = at - (at % 8);
  switch (random.int(6)) {
    case 0:
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.int(8)), at);
      return bytes;
    case 1:
      bytes.writeUInt8(random.pick([0, 1, 0x7f, 0x80, 0xff]), at);
      return bytes;
    case 2:
      // Where the length of an item may be: the second half of a word.
      if (word + 8 <= bytes.length) bytes.writeUInt32BE(random.pick(LENGTHS), word + 4);
      return bytes;
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.int(16)), bytes.subarray(at)]);
    default:
      return Buffer.concat([bytes, random.bytes(1 + random.int(16))]);
  }
}

/** Messages made of `corpus`, each of a whole Request or Response Message. */
export function mutator(corpus: readonly Buffer[]): (random: Random) => Buffer {
  const roots = corpus.flatMap((message) => nodesIn(wire.itemsIn(message)));
  const collect = (node: Node): Node[] => [
    node,
    ...(Buffer.isBuffer(node.body) ? [] : node.body.flatMap(collect)),
  ];
  const others = roots.flatMap(collect);
  return (random) => {
    let nodes: readonly Node[] = [random.pick(roots)];
    for (let count = random.int(4); count > 0; count -= 1)
      nodes = nodes.flatMap((node) => replaced(node, random, treeChange(random, others)));
    let bytes: Buffer = Buffer.concat(nodes.map(written));
    for (let count = random.int(3); count > 0; count -= 1) bytes = byteChange(bytes, random);
    return Buffer.from(bytes);
  };
}
