// Arrays as an .npz file, which numpy.load reads: an .npy a name, in a zip that compresses nothing.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** An .npy file, version 1.0: `kind` is numpy's name of the type ("|u1", "<U3"), `data` its bytes in C order. */
function npy({ kind, shape, data }) {
  const dimensions = shape.map((n) => `${n},`).join(" ");
  const text = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${dimensions}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64; // the data begin at a multiple of 64
  const file = new Uint8Array(length + data.length).fill(0x20, 0, length);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  new DataView(file.buffer).setUint16(8, length - 10, true);
  file.set(new TextEncoder().encode(text), 10);
  file[length - 1] = 0x0a;
  file.set(data, length);
  return file;
}

/** A record of a zip: numbers of `sizes` bytes each, little-endian. */
function record(values) {
  const bytes = new Uint8Array(values.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of values) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}

const DAY = 0x21; // 1 January 1980: the file says nothing of when it was made

/** A zip of files that are stored as they are: {name: bytes} -> Blob. */
function zip(files) {
  const parts = [];
  const entries = [];
  let at = 0;
  for (const [name, bytes] of Object.entries(files)) {
    const path = new TextEncoder().encode(name);
    const facts = [[2, 20], [2, 0], [2, 0], [2, 0], [2, DAY], [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, path.length], [2, 0]];
    const local = record([[4, 0x04034b50], ...facts]);
    entries.push(record([[4, 0x02014b50], [2, 20], ...facts, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), path);
    parts.push(local, path, bytes);
    at += local.length + path.length + bytes.length;
  }
  const size = entries.reduce((sum, part) => sum + part.length, 0);
  const count = entries.length / 2;
  const end = record([[4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [2, 0]]);
  return new Blob([...parts, ...entries, end], { type: "application/octet-stream" });
}

/** {name: {kind, shape, data}} -> Blob */
export function npz(arrays) {
  return zip(Object.fromEntries(Object.entries(arrays).map(([name, array]) => [`${name}.npy`, npy(array)])));
}

export const bytes = (values, shape) => ({ kind: "|u1", shape, data: Uint8Array.from(values) });

/** Words as numpy keeps them: UTF-32, each as long as the longest. */
export function words(values) {
  const longest = Math.max(1, ...values.map((word) => [...word].length));
  const codes = new Uint32Array(values.length * longest);
  values.forEach((word, i) => codes.set([...word].map((letter) => letter.codePointAt(0)), i * longest));
  return { kind: "<U" + longest, shape: [values.length], data: new Uint8Array(codes.buffer) };
}
