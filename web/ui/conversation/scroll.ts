// The scroll position of a log, and how it is kept when rows are added above or below. At the end, new rows are followed; elsewhere,
// the first visible row keeps its position on the screen.

/** How near to the end counts as the end, in pixels. */
const END_PX = 48;

/** A scroll position: at the end, or a row and its distance from the top of the window. */
export type Place = { end: true } | { end: false; id: string; offset: number };

const articles = (box: HTMLElement): HTMLElement[] => [...box.querySelectorAll<HTMLElement>("article")];

/** Whether the end is on the screen. */
export const isAtEnd = (box: HTMLElement): boolean => box.scrollHeight - box.scrollTop - box.clientHeight < END_PX;

/** The first of the rows, which stand in order, whose end is below `line`; by halves, as there may be thousands. */
function firstBelow(rows: readonly HTMLElement[], line: number): number {
  let [from, to] = [0, rows.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((rows[middle]?.getBoundingClientRect().bottom ?? 0) > line) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** The present scroll position. */
export function placeOf(box: HTMLElement): Place {
  if (isAtEnd(box)) return { end: true };
  const top = box.getBoundingClientRect().top;
  const rows = articles(box);
  const first = rows[firstBelow(rows, top)];
  return first ? { end: false, id: first.id, offset: first.getBoundingClientRect().top - top } : { end: true };
}

/** Restores a scroll position after the rows have changed. */
export function restore(box: HTMLElement, place: Place): void {
  if (place.end) {
    box.scrollTop = box.scrollHeight;
    return;
  }
  const row = box.querySelector(`#${CSS.escape(place.id)}`);
  if (row) box.scrollTop += row.getBoundingClientRect().top - box.getBoundingClientRect().top - place.offset;
}

/** The id of the newest message whose end is on the screen. */
export function newestVisible(box: HTMLElement): string | null {
  const bottom = box.getBoundingClientRect().bottom + 1;
  const rows = articles(box);
  return rows[firstBelow(rows, bottom) - 1]?.id.slice(2) ?? null;
}

/** Brings a message into view; its element, if it is there. */
export function scrollToMessage(box: HTMLElement, message: string): HTMLElement | null {
  const row = box.querySelector<HTMLElement>(`#${CSS.escape(`m-${message}`)}`);
  row?.scrollIntoView({ block: "center" });
  return row;
}
