// A QR code (ISO/IEC 18004) of some text: byte mode, error correction M. It returns the dark modules as an SVG path.

const eccPerBlock = [
  10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28,
];
const blockCounts = [
  1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35,
  37, 38, 40, 43, 45, 47, 49,
];

/** How many modules of a version carry data and error correction. */
function rawModules(version: number): number {
  let count = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const aligned = Math.floor(version / 7) + 2;
    count -= (25 * aligned - 10) * aligned - 55;
    if (version >= 7) count -= 36;
  }
  return count;
}

const capacity = (version: number): number =>
  Math.floor(rawModules(version) / 8) - (eccPerBlock[version - 1] ?? 0) * (blockCounts[version - 1] ?? 0);

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1. */
function times(x: number, y: number): number {
  let z = 0;
  for (let i = 7; i >= 0; i--) {
    z = (z << 1) ^ ((z >>> 7) * 0x11d);
    z ^= ((y >>> i) & 1) * x;
  }
  return z;
}

function divisor(degree: number): number[] {
  const result = new Array<number>(degree).fill(0);
  result[degree - 1] = 1;
  let root = 1;
  for (let i = 0; i < degree; i++) {
    for (let j = 0; j < degree; j++) {
      result[j] = times(result[j] ?? 0, root) ^ (j + 1 < degree ? (result[j + 1] ?? 0) : 0);
    }
    root = times(root, 2);
  }
  return result;
}

function remainder(data: readonly number[], by: readonly number[]): number[] {
  const result = by.map(() => 0);
  for (const byte of data) {
    const factor = byte ^ (result.shift() ?? 0);
    result.push(0);
    by.forEach((coefficient, i) => {
      result[i] = (result[i] ?? 0) ^ times(coefficient, factor);
    });
  }
  return result;
}

/** The codewords in the order in which they are drawn. */
function codewords(bytes: Uint8Array, version: number): number[] {
  const bits: number[] = [];
  const put = (value: number, length: number): void => {
    for (let i = length - 1; i >= 0; i--) bits.push((value >>> i) & 1);
  };
  put(4, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) put(byte, 8);
  const room = capacity(version) * 8;
  put(0, Math.min(4, room - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < room; pad ^= 0xec ^ 0x11) put(pad, 8);
  const data = Array.from({ length: bits.length / 8 }, (_, i) =>
    bits.slice(8 * i, 8 * i + 8).reduce((sum, bit) => (sum << 1) | bit, 0),
  );
  const count = blockCounts[version - 1] ?? 1;
  const eccLength = eccPerBlock[version - 1] ?? 0;
  const total = Math.floor(rawModules(version) / 8);
  const shortBlocks = count - (total % count);
  const shortLength = Math.floor(total / count) - eccLength;
  const by = divisor(eccLength);
  const blocks: { data: number[]; ecc: number[] }[] = [];
  for (let i = 0, from = 0; i < count; i++) {
    const part = data.slice(from, from + shortLength + (i < shortBlocks ? 0 : 1));
    from += part.length;
    blocks.push({ data: part, ecc: remainder(part, by) });
  }
  const out: number[] = [];
  for (let i = 0; i <= shortLength; i++) {
    for (const block of blocks) if (i < block.data.length) out.push(block.data[i] ?? 0);
  }
  for (let i = 0; i < eccLength; i++) for (const block of blocks) out.push(block.ecc[i] ?? 0);
  return out;
}

type Grid = { size: number; dark: Uint8Array; fixed: Uint8Array };

function set(grid: Grid, x: number, y: number, dark: boolean): void {
  if (x < 0 || y < 0 || x >= grid.size || y >= grid.size) return;
  grid.dark[y * grid.size + x] = dark ? 1 : 0;
  grid.fixed[y * grid.size + x] = 1;
}

function alignments(version: number): number[] {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
  const last = version * 4 + 10;
  return [6, ...Array.from({ length: count - 1 }, (_, i) => last - step * (count - 2 - i))];
}

function drawPatterns(grid: Grid, version: number): void {
  const { size } = grid;
  for (let i = 0; i < size; i++) {
    set(grid, 6, i, i % 2 === 0);
    set(grid, i, 6, i % 2 === 0);
  }
  for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]] as const) {
    for (let dy = -4; dy <= 4; dy++) {
      for (let dx = -4; dx <= 4; dx++) {
        const ring = Math.max(Math.abs(dx), Math.abs(dy));
        set(grid, cx + dx, cy + dy, ring !== 2 && ring !== 4);
      }
    }
  }
  const centers = alignments(version);
  const last = centers.length - 1;
  centers.forEach((cx, i) => {
    centers.forEach((cy, j) => {
      if ((i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0)) return;
      for (let dy = -2; dy <= 2; dy++) {
        for (let dx = -2; dx <= 2; dx++) set(grid, cx + dx, cy + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
      }
    });
  });
  if (version < 7) return;
  let rest = version;
  for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let i = 0; i < 18; i++) {
    const a = size - 11 + (i % 3);
    const b = Math.floor(i / 3);
    set(grid, a, b, ((bits >>> i) & 1) === 1);
    set(grid, b, a, ((bits >>> i) & 1) === 1);
  }
}

function drawFormat(grid: Grid, mask: number): void {
  let rest = mask; // level M is 00, so the five bits are the mask's
  for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
  const bits = ((mask << 10) | rest) ^ 0x5412;
  const bit = (i: number): boolean => ((bits >>> i) & 1) === 1;
  const { size } = grid;
  for (let i = 0; i <= 5; i++) set(grid, 8, i, bit(i));
  set(grid, 8, 7, bit(6));
  set(grid, 8, 8, bit(7));
  set(grid, 7, 8, bit(8));
  for (let i = 9; i < 15; i++) set(grid, 14 - i, 8, bit(i));
  for (let i = 0; i < 8; i++) set(grid, size - 1 - i, 8, bit(i));
  for (let i = 8; i < 15; i++) set(grid, 8, size - 15 + i, bit(i));
  set(grid, 8, size - 8, true);
}

function drawData(grid: Grid, words: readonly number[]): void {
  const { size } = grid;
  let i = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      for (const x of [right, right - 1]) {
        const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
        if (grid.fixed[y * size + x]) continue;
        if (i < words.length * 8) {
          // Mask 0: what decides the mask is how well a camera reads it, and one that is fixed reads well enough.
          const dark = (((words[i >>> 3] ?? 0) >>> (7 - (i & 7))) & 1) === 1;
          grid.dark[y * size + x] = dark !== ((x + y) % 2 === 0) ? 1 : 0;
          i += 1;
        } else {
          grid.dark[y * size + x] = (x + y) % 2 === 0 ? 1 : 0;
        }
      }
    }
  }
}

/** A drawn code: its size in modules, without the quiet zone of 4, and the path of its dark modules. */
export interface QrCode {
  size: number;
  path: string;
}

/** The code of a text of at most 2,331 bytes; more throws a RangeError. */
export function qrCode(text: string): QrCode {
  const bytes = new TextEncoder().encode(text);
  const version = Array.from({ length: 40 }, (_, i) => i + 1).find(
    (v) => capacity(v) * 8 >= 4 + (v < 10 ? 8 : 16) + bytes.length * 8,
  );
  if (version === undefined) throw new RangeError("text is longer than a QR code holds");
  const size = version * 4 + 17;
  const grid: Grid = { size, dark: new Uint8Array(size * size), fixed: new Uint8Array(size * size) };
  drawPatterns(grid, version);
  drawFormat(grid, 0);
  drawData(grid, codewords(bytes, version));
  let path = "";
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) if (grid.dark[y * size + x]) path += `M${x} ${y}h1v1h-1z`;
  }
  return { size, path };
}
