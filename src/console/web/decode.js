// Bytes of which nobody has said what they are, read by trial: what they could be is shown, and never more than that.

/** What is read at most. */
const MOST = 256 * 1024;
const DEEPEST = 32;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The text that these bytes are, if they are one. */
export function text(data) {
  try {
    const found = utf8.decode(data);
    // Bytes that are no text have controls in them.
    return /[\u0000-\u0008\u000e-\u001a\u001c\u001d]/.test(found) ? null : found;
  } catch {
    return null;
  }
}

class Reader {
  at = 0;

  constructor(data) {
    this.data = data;
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get left() {
    return this.data.length - this.at;
  }

  bytes(count) {
    if (count > this.left) throw new RangeError('cut');
    this.at += count;
    return this.data.subarray(this.at - count, this.at);
  }

  number(kind, size) {
    if (size > this.left) throw new RangeError('cut');
    const found = this.view[`get${kind}`](this.at);
    this.at += size;
    return typeof found === 'bigint' ? small(found) : found;
  }
}

/** A number where it is exact, else its digits. */
const small = (big) => (big >= -(2n ** 53n) && big <= 2n ** 53n ? Number(big) : String(big));

const hex = (data) => `0x${[...data.subarray(0, 64)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}${data.length > 64 ? '…' : ''}`;

function packed(reader, depth) {
  if (depth > DEEPEST) throw new RangeError('deep');
  const string = (count) => utf8.decode(reader.bytes(count));
  const list = (count) => {
    if (count > reader.left) throw new RangeError('cut');
    return Array.from({ length: count }, () => packed(reader, depth + 1));
  };
  const map = (count) => {
    if (count * 2 > reader.left) throw new RangeError('cut');
    const found = [];
    for (let at = 0; at < count; at += 1) {
      const key = packed(reader, depth + 1);
      found.push([typeof key === 'string' ? key : JSON.stringify(key), packed(reader, depth + 1)]);
    }
    return Object.fromEntries(found);
  };
  const extension = (count) => {
    const kind = reader.number('Int8', 1);
    return { extension: kind, bytes: hex(reader.bytes(count)) };
  };
  const kind = reader.number('Uint8', 1);
  if (kind < 0x80) return kind;
  if (kind < 0x90) return map(kind & 15);
  if (kind < 0xa0) return list(kind & 15);
  if (kind < 0xc0) return string(kind & 31);
  if (kind >= 0xe0) return kind - 256;
  const size = (bits) => reader.number(`Uint${bits}`, bits / 8);
  switch (kind) {
    case 0xc0: return null;
    case 0xc2: return false;
    case 0xc3: return true;
    case 0xc4: case 0xc5: case 0xc6: return { bytes: hex(reader.bytes(size(8 << (kind - 0xc4)))) };
    case 0xc7: case 0xc8: case 0xc9: return extension(size(8 << (kind - 0xc7)));
    case 0xca: return reader.number('Float32', 4);
    case 0xcb: return reader.number('Float64', 8);
    case 0xcc: case 0xcd: case 0xce: return size(8 << (kind - 0xcc));
    case 0xcf: return reader.number('BigUint64', 8);
    case 0xd0: case 0xd1: case 0xd2: return reader.number(`Int${8 << (kind - 0xd0)}`, 1 << (kind - 0xd0));
    case 0xd3: return reader.number('BigInt64', 8);
    case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return extension(1 << (kind - 0xd4));
    case 0xd9: case 0xda: case 0xdb: return string(size(8 << (kind - 0xd9)));
    case 0xdc: case 0xdd: return list(size(16 << (kind - 0xdc)));
    case 0xde: case 0xdf: return map(size(16 << (kind - 0xde)));
    default: throw new RangeError('unused');
  }
}

/** MessagePack, one value or several; nothing if it is none. What a lone small number could be is a guess, and no more. */
export function messagePack(data) {
  if (!data.length || data.length > MOST) return null;
  const reader = new Reader(data);
  try {
    const found = [];
    while (reader.left) found.push(packed(reader, 0));
    const isSure = found.some((value) => typeof value === 'object' && value !== null) || found.some((value) => typeof value === 'string' && value.length > 3);
    return isSure ? (found.length === 1 ? found[0] : found) : null;
  } catch {
    return null;
  }
}

function varint(reader) {
  let found = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.number('Uint8', 1);
    found |= BigInt(byte & 127) << shift;
    if (byte < 128) return BigInt.asUintN(64, found);
  }
  throw new RangeError('long');
}

function fields(data, depth) {
  const reader = new Reader(data);
  const found = [];
  while (reader.left) {
    const key = varint(reader);
    const number = Number(key >> 3n);
    if (number < 1 || number > 536870911) throw new RangeError('no field');
    let value;
    switch (Number(key & 7n)) {
      case 0: value = small(varint(reader)); break;
      case 1: value = { fixed64: hex(reader.bytes(8)) }; break;
      case 2: value = inner(reader.bytes(Number(varint(reader))), depth + 1); break;
      case 5: value = { fixed32: hex(reader.bytes(4)) }; break;
      default: throw new RangeError('no type');
    }
    found.push([number, value]);
  }
  // A field that comes again is a list.
  const all = {};
  for (const [number, value] of found) {
    if (number in all) (all[number].repeated ??= [all[number].value]).push(value);
    else all[number] = { value };
  }
  return Object.fromEntries(Object.entries(all).map(([number, { value, repeated }]) => [number, repeated ?? value]));
}

/** What has a length is a text, a message within, or bytes. */
function inner(data, depth) {
  const words = text(data);
  if (words != null && (!data.length || /[^\u0000-\u001f]{2}/.test(words))) return words;
  if (data.length && depth < DEEPEST) {
    try {
      return fields(data, depth);
    } catch {
      // It is none.
    }
  }
  return words ?? hex(data);
}

/** Protocol Buffers without their schema: the fields by their numbers; nothing if it is none. */
export function protobuf(data) {
  if (data.length < 2 || data.length > MOST) return null;
  try {
    return fields(data, 0);
  } catch {
    return null;
  }
}
