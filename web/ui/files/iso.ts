// Pictures of the ISO family, AVIF and HEIC, without metadata. It is overwritten in its place: such files have offsets into themselves.

type Bytes = Uint8Array<ArrayBuffer>;

/** A part of the file, which begins at `at`, with its content from one place to another, without that one. */
interface Box {
  name: string;
  at: number;
  from: number;
  to: number;
}

/** The file is not built as this code knows it. */
class Unreadable extends Error {}

/** How many bytes of items may still be cleared. More than all means that some are named again and again. */
interface Budget {
  left: number;
}

/**
 * Items that are a picture, or from which one is made. All others are about it: place and camera, and what programs have written. A
 * JPEG has metadata of its own.
 */
const IMAGES = new Set("av01 hvc1 lhv1 vvc1 j2k1 unci grid iovl iden tmap".split(" "));
/** What the file as a whole is made of; in a sequence, and in its tracks, what is about it. */
const WHOLE = new Set(["ftyp", "meta", "moov", "mdat"]);
const ABOUT = new Set(["meta", "udta", "uuid"]);
/** What a box `meta` is made of; what else is in it, such as `xml `, is words. */
const META = new Set("hdlr pitm iloc iinf iref iprp idat dinf grpl".split(" "));
/** Which box has which one in it. */
const INSIDE = new Map([["trak", "moov"], ["mdia", "trak"]]);
/** Texts and times among the properties of a picture. */
const WORDS = new Set(["udes", "altt", "crtt", "itai", "mdft", "uuid"]);
/** Tracks of pictures, and of their transparency. */
const TRACKS = new Set(["pict", "vide", "auxv"]);
const HEADS = new Set(["mvhd", "tkhd", "mdhd"]);

/** Reads numbers one after the other. */
class Reader {
  private readonly view: DataView;

  constructor(
    bytes: Bytes,
    public at: number,
    private readonly end: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** The next number, of as many bytes. */
  number(size: number): number {
    if (this.at + size > this.end) throw new Unreadable();
    let found = 0;
    for (let i = 0; i < size; i++) found = found * 256 + this.view.getUint8(this.at + i);
    this.at += size;
    return found;
  }

  text(): string {
    return String.fromCharCode(...Array.from({ length: 4 }, () => this.number(1)));
  }
}

function boxesIn(bytes: Bytes, start: number, end: number): Box[] {
  const found: Box[] = [];
  for (let at = start; at < end; ) {
    const reader = new Reader(bytes, at, end);
    const [short, name] = [reader.number(4), reader.text()];
    const size = short === 1 ? reader.number(8) : short === 0 ? end - at : short;
    if (at + size > end || at + size < reader.at) throw new Unreadable();
    found.push({ name, at, from: reader.at, to: at + size });
    at += size;
  }
  return found;
}

/** Makes it a box that nobody reads. */
function blank(bytes: Bytes, { at, from, to }: Box): void {
  for (const [i, letter] of [..."free"].entries()) bytes[at + 4 + i] = letter.charCodeAt(0);
  bytes.fill(0, from, to);
}

/** Which items are images, by their id; each other one is renamed, so that nobody looks for metadata in it. */
function imagesIn(bytes: Bytes, iinf: Box): Set<number> {
  const reader = new Reader(bytes, iinf.from, iinf.to);
  const isShort = reader.number(4) >> 24 === 0;
  reader.number(isShort ? 2 : 4);
  const [all, images] = [new Set<number>(), new Set<number>()];
  for (const entry of boxesIn(bytes, reader.at, iinf.to)) {
    const fields = new Reader(bytes, entry.from, entry.to);
    const version = fields.number(4) >> 24;
    if (entry.name !== "infe" || version < 2) throw new Unreadable();
    const id = fields.number(version === 2 ? 2 : 4);
    if (all.has(id)) throw new Unreadable();
    all.add(id);
    fields.number(2);
    const type = fields.at;
    if (IMAGES.has(fields.text())) {
      images.add(id);
      continue;
    }
    // The name of the item, and the type of its content.
    bytes.fill(0, type + 4, entry.to);
    bytes.set([0x66, 0x72, 0x65, 0x65], type);
  }
  return images;
}

/** Overwrites the bytes of all items but the images. */
function clearItems(bytes: Bytes, images: ReadonlySet<number>, iloc: Box, idat: Box | undefined, budget: Budget): void {
  const reader = new Reader(bytes, iloc.from, iloc.to);
  const version = reader.number(4) >> 24;
  const sizes = reader.number(2);
  const [offsetSize, lengthSize, baseSize, indexSize] = [sizes >> 12, (sizes >> 8) & 15, (sizes >> 4) & 15, version === 0 ? 0 : sizes & 15];
  for (let left = reader.number(version < 2 ? 2 : 4); left > 0; left--) {
    const id = reader.number(version < 2 ? 2 : 4);
    const method = version === 0 ? 0 : reader.number(2) & 15;
    const isElsewhere = reader.number(2) !== 0;
    const base = reader.number(baseSize);
    let extents = reader.number(2);
    if (extents > 0 && offsetSize + lengthSize === 0) throw new Unreadable();
    for (; extents > 0; extents--) {
      reader.number(indexSize);
      const [offset, length] = [reader.number(offsetSize), reader.number(lengthSize)];
      if (images.has(id)) continue;
      const [start, end] = method === 0 ? [0, bytes.length] : method === 1 && idat ? [idat.from, idat.to] : [0, 0];
      const from = start + base + offset;
      // Without a length it is all that follows, which may be a picture.
      if (isElsewhere || length === 0 || from + length > end || (budget.left -= length) < 0) throw new Unreadable();
      bytes.fill(0, from, from + length);
    }
  }
}

/** Clears what a box `meta` and its items say about the pictures among them. */
function clearMeta(bytes: Bytes, meta: Box, budget: Budget): void {
  const boxes = boxesIn(bytes, meta.from + 4, meta.to);
  const named = (name: string): Box | undefined => {
    const [found, another] = boxes.filter((box) => box.name === name);
    if (another) throw new Unreadable();
    return found;
  };
  const [iinf, iloc, iprp, pitm, idat] = [named("iinf"), named("iloc"), named("iprp"), named("pitm"), named("idat")];
  if (!iinf || !iloc) throw new Unreadable();
  const images = imagesIn(bytes, iinf);
  const primary = pitm && new Reader(bytes, pitm.from, pitm.to);
  if (primary && !images.has(primary.number(primary.number(4) >> 24 === 0 ? 2 : 4))) throw new Unreadable();
  clearItems(bytes, images, iloc, idat, budget);
  for (const property of iprp ? boxesIn(bytes, iprp.from, iprp.to) : []) {
    if (property.name === "ipco") {
      for (const one of boxesIn(bytes, property.from, property.to)) if (WORDS.has(one.name)) blank(bytes, one);
    } else if (property.name !== "ipma") blank(bytes, property);
  }
  for (const box of boxes) if (!META.has(box.name)) blank(bytes, box);
}

/** Clears what is said about a sequence of pictures, or about one of its tracks, and when it was made. */
function clearTracks(bytes: Bytes, within: Box, budget: Budget): void {
  for (const box of boxesIn(bytes, within.from, within.to)) {
    const outer = INSIDE.get(box.name);
    if (outer !== undefined) {
      if (outer !== within.name) throw new Unreadable();
      clearTracks(bytes, box, budget);
    } else if (box.name === "hdlr") {
      const reader = new Reader(bytes, box.from + 8, box.to);
      if (!TRACKS.has(reader.text())) throw new Unreadable();
    } else if (HEADS.has(box.name)) bytes.fill(0, box.from + 4, box.from + (bytes[box.from] === 1 ? 20 : 12));
    else if (ABOUT.has(box.name)) {
      // Its items lie elsewhere.
      if (box.name === "meta") clearMeta(bytes, box, budget);
      blank(bytes, box);
    }
  }
}

/** The brand of a file of this family, and all that it says it can be read as; empty for other files. */
function brandsOf(bytes: Uint8Array): string[] {
  const text = String.fromCharCode(...bytes);
  if (text.slice(4, 8) !== "ftyp") return [];
  const end = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const compatible = text.slice(16, end).match(/.{4}/gs) ?? [];
  return [text.slice(8, 12), ...compatible];
}

/** Whether these first bytes are those of a picture of a phone: HEIC, which not all browsers can draw. */
export const isHeic = (head: Uint8Array): boolean => brandsOf(head).some((brand) => /^he[iv][cxms]$/.test(brand)) && !brandsOf(head).includes("avif");

/** Whether these first bytes are those of an animated AVIF. */
export const isAvifSequence = (head: Uint8Array): boolean => brandsOf(head)[0] === "avis";

/** A picture of this family without metadata, and otherwise as it is; null if it cannot be read. */
export async function withoutMetadata(source: Blob): Promise<Blob | null> {
  const bytes = new Uint8Array(await source.arrayBuffer());
  const budget = { left: bytes.length };
  try {
    for (const box of boxesIn(bytes, 0, bytes.length)) {
      if (box.name === "meta") clearMeta(bytes, box, budget);
      else if (box.name === "moov") clearTracks(bytes, box, budget);
      else if (box.name === "moof") throw new Unreadable();
      else if (!WHOLE.has(box.name)) blank(bytes, box);
    }
  } catch (error) {
    if (error instanceof Unreadable) return null;
    throw error;
  }
  return new Blob([bytes], { type: source.type });
}
